"""optimizer.step() is called twice per batch; the learning rate was already near the limit."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Two tanh layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.out = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.out(self.body(x))  # type: ignore[no-any-return]


def train(seed: int, *, steps: int = 2) -> float:
    """Train with Nesterov SGD; the healthy twin steps once."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(200):
        x, y = data.batch()
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for _ in range(steps):
            optimizer.step()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="tanh regression under SGD that steps twice per batch; it becomes unstable",
    run=train,
    twin=partial(train, steps=1),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="loop-order",
    causes=frozenset({CauseKind.LOOP_ORDER}),
    first_step=(0, 3),
    repairs=frozenset({"single-step"}),
)
