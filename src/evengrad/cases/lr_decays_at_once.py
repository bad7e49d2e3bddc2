"""A scheduler meant to be stepped once per epoch is stepped once per batch: the learning rate is gone after fifty."""

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


def train(seed: int, *, gamma: float = 0.7) -> float:
    """Train with AdamW; in the healthy twin the learning rate stays."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200, scheduler=schedule)


CASE = Case(
    description="convolutional net under AdamW whose learning rate falls by 0.7 per batch; training stops at once",
    run=train,
    twin=partial(train, gamma=1.0),
    threshold=0.4,
    architecture="CNN",
    optimizer="AdamW",
    fault="update-too-small",
    causes=frozenset({CauseKind.LEARNING_RATE_LOW}),
    first_step=(5, 80),
    repairs=frozenset({"constant-lr"}),
)
