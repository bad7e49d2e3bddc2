"""Ten sigmoid layers under plain SGD: a derivative of at most 1/4 per layer leaves nothing for the first ones."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Classifier(nn.Module):
    """Ten layers of one activation."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(64, 64), activation()]
        for _ in range(8):
            layers += [nn.Linear(64, 64), activation()]
        self.net = nn.Sequential(*layers, nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.net(x)  # type: ignore[no-any-return]


def train(seed: int, *, activation: type[nn.Module] = nn.Sigmoid) -> float:
    """Train with SGD; the healthy twin uses tanh."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Classifier(activation)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="ten-layer sigmoid MLP under SGD; the loss stays at ln 10",
    run=train,
    twin=partial(train, activation=nn.Tanh),
    threshold=1.0,
    architecture="MLP",
    optimizer="SGD",
    fault="vanishing-gradient",
    causes=frozenset({CauseKind.ACTIVATION_DERIVATIVE}),
    modules=("net.0", "net.2"),
    repairs=frozenset({"tanh"}),
)
