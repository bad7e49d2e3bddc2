"""A ReLU on the output of a regression whose targets are all negative: it is zero before long, and stays so."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Two hidden layers and a final ReLU, or none."""

    def __init__(self, *, final_relu: bool) -> None:
        super().__init__()
        self.final_relu = final_relu
        self.fc1 = nn.Linear(8, 48)
        self.fc2 = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        x = self.out(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))
        return F.relu(x) if self.final_relu else x


def train(seed: int, *, final_relu: bool = True) -> float:
    """Train with SGD; the healthy twin has a linear output."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor(final_relu=final_relu)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), y - 4)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="regression on negative targets with a ReLU on its output under SGD; it predicts zero",
    run=train,
    twin=partial(train, final_relu=False),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="constant-output",
    equivalents=frozenset({"dead-units"}),
    causes=frozenset({CauseKind.OUTPUT_ACTIVATION, CauseKind.DEAD_UNITS}),
    first_step=(0, 60),
    repairs=frozenset({"drop-output-activation"}),
)
