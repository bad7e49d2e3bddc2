"""A learning rate of ten for a convolutional net that wants a hundredth."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Two convolutions with batch normalisation and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(24 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.fc(self.body(x).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, lr: float = 10.0) -> float:
    """Train with SGD; the healthy twin has a learning rate of 0.05."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="convolutional net under SGD with lr 10; the loss leaps in the first steps and stays there",
    run=train,
    twin=partial(train, lr=0.02),
    threshold=0.5,
    architecture="CNN",
    optimizer="SGD",
    fault="update-too-large",
    causes=frozenset({CauseKind.LEARNING_RATE_HIGH}),
    first_step=(0, 5),
    repairs=frozenset({"lower-lr"}),
)
