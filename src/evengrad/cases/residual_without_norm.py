"""Fifty residual blocks, He-initialised, added up without a norm: signal and gradient double per block."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Residual(nn.Module):
    """Residual blocks x + alpha f(x)."""

    def __init__(self, alpha: float, *, depth: int = 50, width: int = 48) -> None:
        super().__init__()
        self.alpha = alpha
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)
        for block in self.blocks:
            nn.init.kaiming_normal_(block.get_parameter("weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        x = self.embed(x)
        for block in self.blocks:
            x = x + self.alpha * F.relu(block(x))
        return self.out(x)  # type: ignore[no-any-return]


def train(seed: int, *, alpha: float = 1.0) -> float:
    """Train with AdamW; the healthy twin scales its branches down."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Residual(alpha)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="50 residual blocks without normalisation under AdamW; predictions start at 1e7",
    run=train,
    twin=partial(train, alpha=0.1),
    threshold=0.7,
    architecture="ResNet",
    optimizer="AdamW",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM, CauseKind.WEIGHT_SCALE_LARGE}),
    repairs=frozenset({"lsuv-init", "small-branches"}),
)
