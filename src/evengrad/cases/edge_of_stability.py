"""Full-batch gradient descent with a large learning rate: it rides at the limit of stability and gets there first."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with plain gradient descent on the whole data set."""
    torch.manual_seed(seed)
    data = clusters(seed, samples=256)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.5)

    def loss_of(step: int) -> Tensor:
        return F.cross_entropy(model(data.x), data.y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="full-batch gradient descent with lr 1.5 on a tanh MLP: a loss that is not monotone, and trains",
    run=train,
    threshold=0.1,
    architecture="MLP",
    optimizer="SGD",
)
