"""Forty GELU layers under Adam: half a decade lost per layer brings the gradient below Adam's epsilon."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Tower(nn.Module):
    """GELU layers, with or without a skip past each."""

    def __init__(self, *, skip: bool, depth: int = 40, width: int = 48) -> None:
        super().__init__()
        self.skip = skip
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        x = F.gelu(self.embed(x))
        for block in self.blocks:
            x = x + 0.2 * F.gelu(block(x)) if self.skip else F.gelu(block(x))
        return self.out(x)  # type: ignore[no-any-return]


def train(seed: int, *, skip: bool = False) -> float:
    """Train a regression with Adam; the healthy twin has skip connections."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Tower(skip=skip)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="40-layer GELU MLP with default initialisation under Adam; it predicts the mean",
    run=train,
    twin=partial(train, skip=True),
    threshold=0.5,
    architecture="MLP",
    optimizer="Adam",
    fault="vanishing-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset(
        {
            CauseKind.WEIGHT_SCALE_SMALL,
            CauseKind.ACTIVATION_DERIVATIVE,
            CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM,
        }
    ),
    modules=("embed", "blocks"),
    repairs=frozenset({"residual"}),
)
