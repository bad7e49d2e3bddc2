"""Dropout of 0.7 after every layer: most activations are zero at any time, and no unit is dead."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Noisy(nn.Module):
    """Two wide layers under heavy dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 256)
        self.fc2 = nn.Linear(256, 256)
        self.out = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        x = F.dropout(F.relu(self.fc1(x)), 0.7, self.training)
        x = F.dropout(F.relu(self.fc2(x)), 0.7, self.training)
        return self.out(x)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Noisy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="wide ReLU MLP with dropout 0.7 under Adam",
    run=train,
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
)
