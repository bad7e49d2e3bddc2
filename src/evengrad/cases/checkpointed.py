"""Layers under activation checkpointing: their forward pass runs twice."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Saver(nn.Module):
    """GELU blocks with skips, recomputed on the way back."""

    def __init__(self, *, depth: int = 8, width: int = 64) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        for block in self.blocks:
            x = x + F.gelu(checkpoint(block, x, use_reentrant=False))
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with AdamW."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Saver()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 100)


CASE = Case(
    description="residual GELU MLP with activation checkpointing under AdamW",
    run=train,
    threshold=0.2,
    architecture="ResNet",
    optimizer="AdamW",
)
