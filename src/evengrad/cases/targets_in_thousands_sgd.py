"""A recurrent regression on targets of size 3,000 with SGD: the first step is thousands of times too long."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Forecaster(nn.Module):
    """An LSTM with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        states, _ = self.lstm(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, unit: float = 3000.0) -> float:
    """Train with SGD and return the mean squared error in units of the targets' variance."""
    torch.manual_seed(seed)
    data = echo(seed, length=8)
    model = Forecaster()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), unit * y)

    return fit(loss_of, optimizer, 250) / unit**2


CASE = Case(
    description="LSTM regression under SGD on targets of size 3,000; its gates are thrown into saturation",
    run=train,
    twin=partial(train, unit=1.0),
    threshold=0.3,
    architecture="LSTM",
    optimizer="SGD",
    fault="target-scale",
    causes=frozenset({CauseKind.TARGET_SCALE}),
    first_step=(0, 10),
    repairs=frozenset({"normalise-target"}),
)
