"""A softmax before a cross-entropy that applies its own."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, twice: bool = True) -> float:
    """Train with SGD; the healthy twin hands logits to the loss."""
    torch.manual_seed(seed)
    data = clusters(seed, features=32)
    body = [nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*body, nn.Softmax(dim=1)) if twice else nn.Sequential(*body)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="softmax layer before a cross-entropy loss, under SGD; the loss cannot fall below 1.46",
    run=train,
    twin=partial(train, twice=False),
    threshold=0.3,
    architecture="MLP",
    optimizer="SGD",
    fault="saturated-activation",
    equivalents=frozenset({"constant-output"}),
    causes=frozenset({CauseKind.OUTPUT_ACTIVATION}),
    modules=("3",),
    repairs=frozenset({"drop-output-activation"}),
)
