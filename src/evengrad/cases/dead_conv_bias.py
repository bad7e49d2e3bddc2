"""A convolutional net whose biases were all set to -6: its deeper ReLUs never fire."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Three ReLU convolutions and a linear head."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4, 4)
        for conv in (self.conv1, self.conv2, self.conv3):
            nn.init.constant_(conv.get_parameter("bias"), bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.head(F.relu(self.conv3(x)).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, bias: float = -6.0) -> float:
    """Train with AdamW; the healthy twin starts with biases of zero."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet(bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="ReLU convolutional net with biases of -6 under AdamW; its units are dead",
    run=train,
    twin=partial(train, bias=0.0),
    threshold=0.3,
    architecture="CNN",
    optimizer="AdamW",
    fault="dead-units",
    causes=frozenset({CauseKind.DEAD_UNITS}),
    modules=("conv1", "conv2", "conv3", ":relu"),
    repairs=frozenset({"he-init", "lsuv-init", "zero-bias"}),
)
