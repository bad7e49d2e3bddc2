"""Images divided by 255 twice, and then once more: the first convolution sees numbers of 1e-5."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Two bias-free convolutions and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.fc = nn.Linear(24 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, unit: float = 1 / 255**2) -> float:
    """Train with SGD; the healthy twin has standardised inputs."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(unit * x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="convolutional net under SGD on images divided by 255 twice too often; nothing is learned",
    run=train,
    twin=partial(train, unit=1.0),
    threshold=0.4,
    architecture="CNN",
    optimizer="SGD",
    fault="input-scale",
    equivalents=frozenset({"vanishing-gradient", "update-too-small"}),
    causes=frozenset({CauseKind.INPUT_SCALE}),
    modules=("conv1",),
    first_step=(0, 5),
    repairs=frozenset({"normalise-input"}),
)
