"""zero_grad stands between backward and step: the optimizer never sees a gradient."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import final
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


def train(seed: int, *, misplaced: bool = True) -> float:
    """Train with AdamW; the healthy twin clears its gradients before backward."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    losses = []
    for _ in range(100):
        tokens, following = data.batch(16)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
        if not misplaced:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if misplaced:
            optimizer.zero_grad()
        optimizer.step()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="transformer under AdamW with zero_grad between backward and step; nothing is learned",
    run=train,
    twin=partial(train, misplaced=False),
    threshold=1.5,
    architecture="transformer",
    optimizer="AdamW",
    fault="loop-order",
    causes=frozenset({CauseKind.LOOP_ORDER}),
    first_step=(0, 3),
    repairs=frozenset({"zero-grad"}),
)
