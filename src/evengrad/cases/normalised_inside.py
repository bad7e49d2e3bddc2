"""Raw inputs of a thousand, but the first layer is a batch normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Table(nn.Module):
    """Batch normalisation first, then two ReLU layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.out(F.relu(self.fc2(F.relu(self.fc1(self.norm(x))))))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD on columns in many units."""
    torch.manual_seed(seed)
    data = clusters(seed)
    unit = 10 ** (4 * torch.rand(64))
    model = Table()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(500 + unit * x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="ReLU MLP under SGD on raw columns of all sizes, normalised by its first layer",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="SGD",
)
