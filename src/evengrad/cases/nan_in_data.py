"""One picture of the training set holds a NaN pixel."""

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


def train(seed: int, *, broken: bool = True) -> float:
    """Train with SGD over shuffled epochs; the healthy twin has a clean data set."""
    torch.manual_seed(seed)
    data = bars(seed)
    if broken:
        data.x[100, 0, 3, 4] = torch.nan
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    order = torch.cat([torch.randperm(512) for _ in range(8)]).view(-1, 32)

    def loss_of(step: int) -> Tensor:
        index = order[step]
        return F.cross_entropy(model(data.x[index]), data.y[index])

    return fit(loss_of, optimizer, len(order))


CASE = Case(
    description="convolutional net under SGD; one picture holds a NaN, and the run dies in its first epoch",
    run=train,
    twin=partial(train, broken=False),
    threshold=0.3,
    architecture="CNN",
    optimizer="SGD",
    fault="non-finite",
    causes=frozenset({CauseKind.DATA}),
    first_step=(0, 15),
)
