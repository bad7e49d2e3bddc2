"""One batch in the wrong unit at step 60: the loss leaps, and is back within twenty steps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Train with SGD; one batch is a hundred times too large."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(100 * x if step == 60 else x), y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="ReLU MLP under SGD; a batch x100 at step 60 that it recovers from",
    run=train,
    threshold=0.1,
    architecture="MLP",
    optimizer="SGD",
)
