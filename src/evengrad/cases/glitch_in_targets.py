"""A sensor glitch: at step 60 one batch of targets is a thousand times too large, and one step of SGD obeys it."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Two tanh layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(8, 48)
        self.fc2 = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.out(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))  # type: ignore[no-any-return]


def train(seed: int, *, factor: float = 1000.0) -> float:
    """Train with SGD; the healthy twin sees no glitch."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), factor * y if step == 60 else y)

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="tanh regression under SGD; a batch with targets x1000 at step 60 saturates the net for good",
    run=train,
    twin=partial(train, factor=1.0),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="gradient-spike",
    causes=frozenset({CauseKind.DATA, CauseKind.TARGET_SCALE}),
    first_step=(60, 62),
    repairs=frozenset({"clip-norm"}),
)
