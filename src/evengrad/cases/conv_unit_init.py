"""Convolutions initialised with N(0, 1), whatever their fan-in: logits in the tens of thousands."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Four convolutions and a linear head."""

    def __init__(self, *, unit: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((1, 16), (16, 16), (16, 16), (16, 16)):
            conv = nn.Conv2d(before, after, 3, padding=1)
            if unit:
                nn.init.normal_(conv.weight)
            layers += [conv, nn.LeakyReLU(0.1)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(16 * 4, 4)
        if unit:
            nn.init.normal_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.head(F.avg_pool2d(self.features(x), 5).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, unit: bool = True) -> float:
    """Train with Adam; the healthy twin keeps PyTorch's initialisation."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet(unit=unit)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="convolutional net initialised with N(0, 1) under Adam; the loss starts in the thousands",
    run=train,
    twin=partial(train, unit=False),
    threshold=0.6,
    architecture="CNN",
    optimizer="Adam",
    fault="bad-initialisation",
    equivalents=frozenset({"exploding-gradient"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"he-init", "lsuv-init"}),
)
