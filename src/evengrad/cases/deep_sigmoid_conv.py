"""Ten convolutions with sigmoid between them, under SGD with Nesterov momentum."""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Ten 3x3 convolutions of eight channels, mean pooling, a linear head."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        channels = [1] + 10 * [8]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, padding=1), activation()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(8 * 25, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.head(F.avg_pool2d(self.features(x), 2).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, activation: type[nn.Module] = nn.Sigmoid) -> float:
    """Train with SGD; the healthy twin uses tanh under Xavier initialisation."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet(activation)
    if activation is nn.Tanh:
        for module in model.features:
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, gain=1.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, nesterov=True)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="10-layer sigmoid convolutional net under Nesterov SGD; the loss stays at ln 4",
    run=train,
    twin=partial(train, activation=nn.Tanh),
    threshold=0.7,
    architecture="CNN",
    optimizer="SGD",
    fault="vanishing-gradient",
    causes=frozenset({CauseKind.ACTIVATION_DERIVATIVE}),
    modules=("features",),
    repairs=frozenset({"relu + he-init", "tanh + xavier-init"}),
)
