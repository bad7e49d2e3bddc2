"""A masked mean over the valid positions of a batch; one batch has none, and 0/0 follows."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import recall
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Tagger(nn.Module):
    """A GRU that repeats the symbol it has just read."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 24, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, T, 4]."""
        states, _ = self.gru(x)
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int, *, guard: bool = False) -> float:
    """Train with AdamW; the healthy twin keeps the denominator at one or more."""
    torch.manual_seed(seed)
    data = recall(seed, length=12)
    model = Tagger()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, _ = data.batch(32)
        valid = torch.rand(32, 12) < (0.0 if step == 50 else 0.7)
        each = F.cross_entropy(model(x).flatten(0, 1), x.argmax(2).flatten(), reduction="none")
        total = valid.sum()
        return (each * valid.flatten()).sum() / (total.clamp(min=1) if guard else total)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="GRU tagger under AdamW; a batch without valid positions at step 50 gives 0/0",
    run=train,
    twin=partial(train, guard=True),
    threshold=0.2,
    architecture="GRU",
    optimizer="AdamW",
    fault="non-finite",
    causes=frozenset({CauseKind.LOSS_NUMERICS, CauseKind.DATA}),
    first_step=(50, 50),
    repairs=frozenset({"loss-eps"}),
)
