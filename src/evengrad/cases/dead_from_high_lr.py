"""A regression on targets round five with a high learning rate: the first steps overshoot and kill a layer for good."""

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
        self.fc1 = nn.Linear(8, 32)
        self.fc2 = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.out(F.relu(self.fc2(F.relu(self.fc1(x)))))  # type: ignore[no-any-return]


def train(seed: int, *, lr: float = 0.3) -> float:
    """Train with SGD and momentum; the healthy twin has a lower learning rate."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), 5 + y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="ReLU regression under SGD with lr 0.3 and momentum; its second layer dies in the first steps",
    run=train,
    twin=partial(train, lr=0.01),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="dead-units",
    equivalents=frozenset({"update-too-large"}),
    causes=frozenset({CauseKind.LEARNING_RATE_HIGH, CauseKind.DEAD_UNITS}),
    first_step=(0, 30),
    repairs=frozenset({"lower-lr"}),
)
