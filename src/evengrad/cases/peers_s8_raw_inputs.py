"""S8 of the peers' comparison: two tanh layers on raw inputs of 500 +- 300."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


def train(seed: int, *, loss_scale: float = 1.0, raw: bool = True) -> float:
    """Train 200 steps with SGD; the healthy twin standardises its inputs."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5, features=16, spread=1.5)
    model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(500 + 300 * x if raw else x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S8: two tanh layers on raw inputs of 500 +- 300 under SGD; the first layer is saturated",
    run=train,
    twin=partial(train, raw=False),
    threshold=0.7,
    architecture="MLP",
    optimizer="SGD",
    fault="saturated-activation",
    equivalents=frozenset({"input-scale"}),
    causes=frozenset({CauseKind.INPUT_SCALE}),
    modules=("0", "1"),
    repairs=frozenset({"normalise-input"}),
)
