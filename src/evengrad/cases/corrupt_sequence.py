"""At step 25 a recurrent net under Adam is given targets in the wrong unit; Adam needs thousands of steps to forget."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Forecaster(nn.Module):
    """A GRU with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        states, _ = self.gru(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, factor: float = 1e5) -> float:
    """Train with Adam; the healthy twin sees no corrupt batch."""
    torch.manual_seed(seed)
    data = echo(seed, length=12)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), factor * y if step == 25 else y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="GRU under Adam; targets in the wrong unit at step 25, and the second moment stalls training",
    run=train,
    twin=partial(train, factor=1.0),
    threshold=0.05,
    architecture="GRU",
    optimizer="Adam",
    fault="gradient-spike",
    causes=frozenset({CauseKind.DATA, CauseKind.TARGET_SCALE}),
    first_step=(25, 27),
    repairs=frozenset({"adaptive-clip", "clip-norm"}),
)
