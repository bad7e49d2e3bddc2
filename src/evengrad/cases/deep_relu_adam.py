"""Eight ReLU layers with default initialisation: early gradients are small, and Adam does not mind."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Deep(nn.Module):
    """A tower of linear layers with functional ReLU."""

    def __init__(self, depth: int = 8, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Deep()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="8-layer ReLU MLP with default initialisation under Adam: gradients fall by 2.5 decades, and it trains",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="Adam",
)
