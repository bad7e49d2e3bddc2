"""Squared distances to class prototypes, computed in half precision: their sum passes 65504."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Prototypes(nn.Module):
    """Embeds a sample and compares it with one prototype per class."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.embed = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh())
        self.prototypes = nn.Parameter(0.5 * torch.randn(10, 64))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]: negative squared distances at scale 60."""
        difference = 60 * (self.embed(x)[:, None] - self.prototypes)
        return -difference.to(self.dtype).pow(2).sum(2).float() / 7200  # type: ignore[no-any-return]


def train(seed: int, *, dtype: torch.dtype = torch.float16) -> float:
    """Train with SGD; the healthy twin computes the distances in float32."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Prototypes(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="squared distances in float16 under SGD; they overflow and the loss is NaN",
    run=train,
    twin=partial(train, dtype=torch.float32),
    threshold=0.5,
    architecture="prototype net",
    optimizer="SGD",
    fault="non-finite",
    causes=frozenset({CauseKind.PRECISION}),
    first_step=(0, 30),
    repairs=frozenset({"fp32"}),
)
