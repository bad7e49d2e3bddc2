"""No zero_grad in the loop: every gradient is added to all before it."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


def train(seed: int, *, zero: bool = False) -> float:
    """Train with SGD; the healthy twin clears its gradients."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = nn.Sequential(nn.Linear(8, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(250):
        x, y = data.batch()
        loss = F.mse_loss(model(x), y)
        if zero:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="tanh regression under SGD without zero_grad; the gradients pile up and the loss swings",
    run=train,
    twin=partial(train, zero=True),
    threshold=0.6,
    architecture="MLP",
    optimizer="SGD",
    fault="loop-order",
    causes=frozenset({CauseKind.LOOP_ORDER}),
    first_step=(0, 3),
    repairs=frozenset({"zero-grad"}),
)
