"""H2 of the peers' comparison: a small residual network with batch normalisation, SGD with lr 0.02."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._peers import fit_scaled


class Block(nn.Module):
    """Convolution, norm, ReLU, with a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the input's shape."""
        return F.relu(x + self.norm(self.conv(x)))


def train(seed: int, *, loss_scale: float = 1.0) -> float:
    """Train 200 steps."""
    torch.manual_seed(seed)
    data = bars(seed, size=8)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), Block(8), Block(8), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="H2: small ResNet with BatchNorm under SGD with lr 0.02",
    run=train,
    threshold=0.3,
    architecture="ResNet",
    optimizer="SGD",
)
