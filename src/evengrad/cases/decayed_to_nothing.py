"""A weight decay that shrinks the weights faster than they can learn."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, decay: float = 1.0) -> float:
    """Train with SGD; the healthy twin decays its weights a ten-thousandth as fast."""
    torch.manual_seed(seed)
    data = clusters(seed, features=32)
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=decay)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="SGD with weight decay 1, a tenth of every weight gone per step; the output becomes a constant",
    run=train,
    twin=partial(train, decay=1e-4),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="vanishing-gradient",
    equivalents=frozenset({"constant-output"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL}),
    first_step=(0, 150),
    repairs=frozenset({"lower-weight-decay"}),
)
