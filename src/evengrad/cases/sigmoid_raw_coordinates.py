"""A sigmoid classifier on raw coordinates from 0 to 800: every unit of the first layer is a hard step."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import checkerboard
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Classifier(nn.Module):
    """Two sigmoid layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, 64)
        self.fc2 = nn.Linear(64, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B]."""
        x = torch.sigmoid(self.fc1(x))
        x = torch.sigmoid(self.fc2(x))
        return self.out(x).squeeze(1)  # type: ignore[no-any-return]


def train(seed: int, *, raw: bool = True) -> float:
    """Train with Adam; the healthy twin standardises its inputs."""
    torch.manual_seed(seed)
    data = checkerboard(seed)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(400 + 230 * x if raw else x), y)

    return fit(loss_of, optimizer, 500)


CASE = Case(
    description="sigmoid MLP on raw coordinates (0 to 800) under Adam; the first layer is saturated",
    run=train,
    twin=partial(train, raw=False),
    threshold=0.4,
    architecture="MLP",
    optimizer="Adam",
    fault="saturated-activation",
    equivalents=frozenset({"input-scale"}),
    causes=frozenset({CauseKind.INPUT_SCALE}),
    modules=("fc1", ":sigmoid"),
    repairs=frozenset({"normalise-input"}),
)
