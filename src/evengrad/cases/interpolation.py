"""More parameters than samples: the training loss goes to 1e-6 and the gradients with it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Fit 32 samples with Adam and a learning rate that is annealed."""
    torch.manual_seed(seed)
    data = waves(seed, samples=32)
    model = nn.Sequential(nn.Linear(8, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)

    def loss_of(step: int) -> Tensor:
        return F.mse_loss(model(data.x), data.y)

    return fit(loss_of, optimizer, 400, scheduler=schedule)


CASE = Case(
    description="wide tanh MLP under Adam on 32 samples: the loss goes down to 1e-6",
    run=train,
    threshold=1e-4,
    architecture="MLP",
    optimizer="Adam",
)
