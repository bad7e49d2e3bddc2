"""A recurrent regression that ends in a sigmoid while its targets lie round eight: the output is pinned at one."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Forecaster(nn.Module):
    """A GRU whose output passes a sigmoid, or not."""

    def __init__(self, *, squash: bool) -> None:
        super().__init__()
        self.squash = squash
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        states, _ = self.gru(x)
        x = self.head(states[:, -1])
        return torch.sigmoid(x) if self.squash else x


def train(seed: int, *, squash: bool = True) -> float:
    """Train with RMSprop; the healthy twin has a linear output."""
    torch.manual_seed(seed)
    data = echo(seed, length=8)
    model = Forecaster(squash=squash)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), 8 + y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="GRU regression with a sigmoid output under RMSprop on targets round 8; it always says 1",
    run=train,
    twin=partial(train, squash=False),
    threshold=0.4,
    architecture="GRU",
    optimizer="RMSprop",
    fault="constant-output",
    equivalents=frozenset({"target-scale", "saturated-activation"}),
    causes=frozenset({CauseKind.OUTPUT_ACTIVATION, CauseKind.TARGET_SCALE}),
    first_step=(0, 100),
    repairs=frozenset({"drop-output-activation"}),
)
