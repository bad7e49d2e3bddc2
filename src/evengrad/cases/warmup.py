"""A linear warm-up from nothing: the first updates are tiny on purpose."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit


class Transformer(nn.Module):
    """Two pre-norm blocks."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(16, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        return self.head(self.encoder(self.token(tokens)))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with AdamW; the learning rate rises from zero over fifty steps."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 50))

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 150, max_norm=1.0, scheduler=ramp)


CASE = Case(
    description="pre-norm transformer under AdamW with warm-up from a learning rate of exactly zero",
    run=train,
    threshold=1.0,
    architecture="transformer",
    optimizer="AdamW",
)
