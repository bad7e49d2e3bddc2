"""All weights start at zero: only the last bias ever gets a gradient."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import spirals
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, zero: bool = True) -> float:
    """Train with SGD; the healthy twin keeps PyTorch's initialisation."""
    torch.manual_seed(seed)
    data = spirals(seed)
    model = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
    if zero:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)

    return fit(loss_of, optimizer, 400)


CASE = Case(
    description="ReLU MLP with all weights zero under SGD; the loss stays at ln 2",
    run=train,
    twin=partial(train, zero=False),
    threshold=0.3,
    architecture="MLP",
    optimizer="SGD",
    fault="bad-initialisation",
    equivalents=frozenset({"no-gradient", "vanishing-gradient"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL}),
    repairs=frozenset({"he-init", "lsuv-init"}),
)
