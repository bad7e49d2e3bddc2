"""Two labels in five are random: the loss falls quickly, then rests where the noise holds it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD on fresh label noise."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        noisy = torch.where(torch.rand(len(y)) < 0.4, torch.randint(10, (len(y),)), y)
        return F.cross_entropy(model(x), noisy)

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="ReLU MLP under SGD on labels of which 40 % are random: a plateau far above zero",
    run=train,
    threshold=1.75,
    architecture="MLP",
    optimizer="SGD",
)
