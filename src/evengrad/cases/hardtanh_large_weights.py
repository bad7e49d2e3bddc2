"""A hardtanh convolutional net with weights of order one: nearly every unit sits on a flat end."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Four hardtanh convolutions and a linear head."""

    def __init__(self, std: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((1, 12), (12, 12), (12, 12), (12, 12)):
            conv = nn.Conv2d(before, after, 3, padding=1)
            nn.init.normal_(conv.weight, std=std / (9 * before) ** 0.5)
            layers += [conv, nn.Hardtanh()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(12 * 25, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.head(F.avg_pool2d(self.features(x), 2).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, std: float = 200.0) -> float:
    """Train with SGD; the healthy twin starts with weights that fit the linear part."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet(std)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="hardtanh convolutional net with far too large weights under SGD; its units are saturated",
    run=train,
    twin=partial(train, std=1.2),
    threshold=0.15,
    architecture="CNN",
    optimizer="SGD",
    fault="saturated-activation",
    equivalents=frozenset({"bad-initialisation", "exploding-gradient"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"lsuv-init", "xavier-init"}),
)
