"""A learning rate that goes up and down by a factor of fifty, and a loss that follows it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit


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


def train(seed: int) -> float:
    """Train with SGD under a cyclic schedule that ends low."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.002, 0.1, step_size_up=25, cycle_momentum=False)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200, scheduler=schedule)


CASE = Case(
    description="convolutional net under SGD with a cyclic learning rate from 0.002 to 0.1",
    run=train,
    threshold=0.4,
    architecture="CNN",
    optimizer="SGD",
)
