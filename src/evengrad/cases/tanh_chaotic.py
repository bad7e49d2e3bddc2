"""Forty tanh layers deep in the chaotic phase: neighbouring inputs part, gradients grow with every layer."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Chaos(nn.Module):
    """Forty functional tanh layers with a given gain."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        self.head = nn.Linear(64, 10)
        for layer in self.layers:
            nn.init.normal_(layer.get_parameter("weight"), std=gain / 8)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int, *, gain: float = 3.0) -> float:
    """Train with SGD and momentum; the healthy twin is near critical."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Chaos(gain)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="40-layer tanh MLP with gain 3 under SGD; the gradient grows by three decades towards the input",
    run=train,
    twin=partial(train, gain=1.05),
    threshold=1.0,
    architecture="MLP",
    optimizer="SGD",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"lsuv-init", "orthogonal-init", "xavier-init"}),
)
