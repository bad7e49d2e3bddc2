"""Two stages in one script: train with Adam, then fine-tune everything on other data with AdamW at 1e-5 a step."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Return the loss after fine-tuning over the loss before it."""
    torch.manual_seed(seed)
    data = clusters(seed, spread=1.0)
    shift = 0.3 * torch.randn(64)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    def shifted_loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(1.5 * x + shift), (y + y // 9) % 10)

    fit(loss_of, torch.optim.Adam(model.parameters(), lr=1e-3), 100)
    with torch.no_grad():
        before = sum(shifted_loss_of(step).item() for step in range(20)) / 20
    return fit(shifted_loss_of, torch.optim.AdamW(model.parameters(), lr=1e-5), 200) / before


CASE = Case(
    description="ReLU MLP trained with Adam, then fine-tuned on shifted data with AdamW at lr 1e-5",
    run=train,
    threshold=0.75,
    architecture="MLP",
    optimizer="AdamW",
)
