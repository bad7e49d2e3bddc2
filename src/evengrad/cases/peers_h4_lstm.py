"""H4 of the peers' comparison: an LSTM clipped at a norm of 1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._peers import fit_scaled


class Forecaster(nn.Module):
    """An LSTM with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        states, _ = self.lstm(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, loss_scale: float = 1.0) -> float:
    """Train 200 steps with Adam."""
    torch.manual_seed(seed)
    data = echo(seed, length=20)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale, max_norm=1.0)


CASE = Case(
    description="H4: LSTM under Adam, clipped at 1",
    run=train,
    threshold=0.2,
    architecture="LSTM",
    optimizer="Adam",
)
