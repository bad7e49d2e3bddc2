"""A regression on prices round 20,000 that were never normalised: Adam's steps are far too short to get there."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Two ReLU layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.head = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.head(self.body(x))  # type: ignore[no-any-return]


def train(seed: int, *, mean: float = 20000.0, unit: float = 5000.0) -> float:
    """Train with Adam and return the mean squared error in units of the targets' variance."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), mean + unit * y)

    return fit(loss_of, optimizer, 250) / unit**2


CASE = Case(
    description="ReLU regression under Adam on targets round 20,000; it is still far below their mean at the end",
    run=train,
    twin=partial(train, mean=0.0, unit=1.0),
    threshold=0.4,
    architecture="MLP",
    optimizer="Adam",
    fault="target-scale",
    causes=frozenset({CauseKind.TARGET_SCALE}),
    first_step=(0, 10),
    repairs=frozenset({"normalise-target"}),
)
