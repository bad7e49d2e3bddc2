"""A first layer of tanh units that are nearly all saturated, as random features that suffice for the task."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Features(nn.Module):
    """A wide first layer with large weights, then two ordinary ones."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(16, 128)
        self.hidden = nn.Linear(128, 48)
        self.out = nn.Linear(48, 5)
        nn.init.normal_(self.lift.weight, std=3.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 5]."""
        return self.out(torch.tanh(self.hidden(torch.tanh(self.lift(x)))))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5, features=16)
    model = Features()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="tanh MLP under Adam whose first layer is nearly all saturated, and it trains",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="Adam",
)
