"""A contrastive loss over a batch: it starts at ln B and depends on the batch, not on classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Encoder(nn.Module):
    """Maps a view to a unit vector."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x: Tensor) -> Tensor:
        """Return embeddings on the unit sphere, [B, 16]."""
        return F.normalize(self.net(x), dim=1)


def train(seed: int) -> float:
    """Train with AdamW on pairs of noisy views."""
    torch.manual_seed(seed)
    data = clusters(seed, features=32)
    model = Encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, _ = data.batch(48)
        one, two = model(x + 0.2 * torch.randn_like(x)), model(x + 0.2 * torch.randn_like(x))
        return F.cross_entropy(one @ two.T / 0.1, torch.arange(48))

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="contrastive learning with temperature 0.1 under AdamW",
    run=train,
    threshold=1.0,
    architecture="siamese MLP",
    optimizer="AdamW",
)
