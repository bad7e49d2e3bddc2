"""A loss multiplied by 1e-9: Adam forgives any scale, but not one below its epsilon."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Three SiLU layers with layer normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 48)
        self.norm = nn.LayerNorm(48)
        self.fc = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        return self.out(F.silu(self.fc(F.silu(self.norm(self.embed(x))))))  # type: ignore[no-any-return]


def train(seed: int, *, weight: float = 1e-9) -> float:
    """Train with Adam and return the mean squared error without its weight."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return weight * F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150) / weight


CASE = Case(
    description="SiLU regression under Adam with a loss weight of 1e-9; gradients are far below Adam's epsilon",
    run=train,
    twin=partial(train, weight=1e-3),
    threshold=0.4,
    architecture="MLP",
    optimizer="Adam",
    fault="update-too-small",
    equivalents=frozenset({"precision-loss"}),
    causes=frozenset({CauseKind.OPTIMIZER_EPSILON}),
    repairs=frozenset({"lower-eps"}),
)
