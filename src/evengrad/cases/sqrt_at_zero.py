"""The distance of two embeddings as sqrt(sum of squares): sooner or later a sample is paired with itself."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Siamese(nn.Module):
    """Embeds two samples and returns their distance."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.embed = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 8))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return distances [B]."""
        difference = self.embed(a) - self.embed(b)
        return torch.sqrt(difference.pow(2).sum(1) + self.eps)


def train(seed: int, *, eps: float = 0.0) -> float:
    """Train a contrastive loss with RMSprop; the healthy twin adds a small number under the root."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=6, features=32)
    model = Siamese(eps)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        a, b = data.batch(32), data.batch(32)
        same = (a.y == b.y).float()
        distance = model(a.x, b.x)
        return (same * distance.pow(2) + (1 - same) * F.relu(2 - distance).pow(2)).mean()  # type: ignore[no-any-return]

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="siamese net under RMSprop; the gradient of sqrt(0) at the first pair of equals makes all weights NaN",
    run=train,
    twin=partial(train, eps=1e-8),
    threshold=0.4,
    architecture="siamese MLP",
    optimizer="RMSprop",
    fault="non-finite",
    causes=frozenset({CauseKind.LOSS_NUMERICS}),
    first_step=(0, 299),
    repairs=frozenset({"loss-eps"}),
)
