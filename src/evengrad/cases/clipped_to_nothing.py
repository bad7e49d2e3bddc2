"""A norm of 1e-4 given as clipping threshold: every step is cut to a ten-thousandth."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Two convolutions and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, max_norm: float = 1e-4) -> float:
    """Train with SGD; the healthy twin clips at 1."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150, max_norm=max_norm)


CASE = Case(
    description="convolutional net under SGD, clipped to a norm of 1e-4 on every step; it hardly moves",
    run=train,
    twin=partial(train, max_norm=1.0),
    threshold=0.4,
    architecture="CNN",
    optimizer="SGD",
    fault="clipping-saturated",
    equivalents=frozenset({"update-too-small"}),
    causes=frozenset({CauseKind.LEARNING_RATE_LOW}),
    repairs=frozenset({"raise-clip", "remove-clip"}),
)
