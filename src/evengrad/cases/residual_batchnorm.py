"""A small residual network with batch normalisation, the ordinary picture classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit


class Block(nn.Module):
    """Two convolutions and a skip past them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the input's shape."""
        inner = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return self.relu(inner + x)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A stem, four blocks, mean pooling, a head."""

    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(4)))
        self.head = nn.Linear(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.head(F.max_pool2d(self.blocks(self.stem(x)), 10).flatten(1))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD, momentum and weight decay under a cosine schedule."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ResNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 100, scheduler=schedule)


CASE = Case(
    description="small ResNet with BatchNorm under SGD with a cosine schedule that ends at zero",
    run=train,
    threshold=0.5,
    architecture="ResNet",
    optimizer="SGD",
)
