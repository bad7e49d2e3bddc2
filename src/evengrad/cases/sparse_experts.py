"""A mixture of experts: on each batch some experts are not chosen and get no gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Mixture(nn.Module):
    """A gate that sends each sample to one of six experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(64, 6)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        weight, chosen = self.gate(x).softmax(1).max(1)
        out = x.new_zeros(len(x), 10)
        for index, expert in enumerate(self.experts):
            mine = chosen == index
            if mine.any():
                out[mine] = weight[mine, None] * expert(x[mine])
        return out


def train(seed: int) -> float:
    """Train with AdamW on small batches."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Mixture()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(16)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="mixture of six experts under AdamW: experts without a sample get no gradient on that step",
    run=train,
    threshold=0.3,
    architecture="mixture of experts",
    optimizer="AdamW",
)
