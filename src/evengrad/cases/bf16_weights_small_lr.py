"""A transformer cast to bfloat16 and trained with a learning rate of 1e-4: most updates round to nothing."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


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


def train(seed: int, *, dtype: torch.dtype = torch.bfloat16) -> float:
    """Train with AdamW; the healthy twin keeps float32 weights."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Transformer().to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).float().flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="transformer with bfloat16 weights under AdamW at lr 1e-4; updates are rounded away",
    run=train,
    twin=partial(train, dtype=torch.float32),
    threshold=2.0,
    architecture="transformer",
    optimizer="AdamW",
    fault="precision-loss",
    causes=frozenset({CauseKind.PRECISION}),
    repairs=frozenset({"fp32", "higher-lr"}),
)
