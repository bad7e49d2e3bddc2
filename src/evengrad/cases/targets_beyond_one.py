"""A binary cross-entropy on grey levels that nobody divided by 16."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, scale: float = 16.0) -> float:
    """Train an autoencoder with Adam; the healthy twin brings grey levels into 0 to 1."""
    torch.manual_seed(seed)
    images = torch.sigmoid(3 * clusters(seed, features=64, spread=0.3).x)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x = images[torch.randint(len(images), (64,))]
        return F.binary_cross_entropy_with_logits(model(x), scale * x)

    fit(loss_of, optimizer, 200)
    with torch.no_grad():
        return float((torch.sigmoid(model(images)) - images).square().mean() / images.var())


CASE = Case(
    description="binary cross-entropy on targets of 0 to 16 under Adam; the loss falls below zero without end",
    run=train,
    twin=partial(train, scale=1.0),
    threshold=0.6,
    architecture="MLP",
    optimizer="Adam",
    fault="target-scale",
    causes=frozenset({CauseKind.TARGET_SCALE}),
    repairs=frozenset({"normalise-target"}),
)
