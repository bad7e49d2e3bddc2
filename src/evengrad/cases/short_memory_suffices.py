"""A GRU that needs only its last three inputs of forty: the gradient fades in time, and it does not matter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit


class Forecaster(nn.Module):
    """A GRU with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        states, _ = self.gru(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with RMSprop; the earliest inputs do not matter, so their gradient is rightly small."""
    torch.manual_seed(seed)
    data = echo(seed, length=40)
    model = Forecaster()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="GRU under RMSprop on a task of the last three inputs of forty: early gradients vanish, rightly",
    run=train,
    threshold=0.1,
    architecture="GRU",
    optimizer="RMSprop",
)
