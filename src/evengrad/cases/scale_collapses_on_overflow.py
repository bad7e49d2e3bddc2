"""A float16 hidden state overflows for ever: the GradScaler skips each step and halves its scale to nothing."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Regressor(nn.Module):
    """Two ReLU layers with a sum of squares in between."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.fc1 = nn.Linear(8, 48)
        self.fc2 = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        x = F.relu(self.fc1(x))
        energy = (100 * x).to(self.dtype).pow(2).sum(1, keepdim=True).float()
        return self.out(F.relu(self.fc2(100 * x / (energy.sqrt() + 1))))  # type: ignore[no-any-return]


def train(seed: int, *, dtype: torch.dtype = torch.float16) -> float:
    """Train with SGD and a GradScaler; the healthy twin computes in float32."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Regressor(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    losses = []
    for _ in range(200):
        x, y = data.batch()
        loss = F.mse_loss(model(2 * x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="float16 sum of squares under SGD and a GradScaler; every step is skipped, the scale goes to zero",
    run=train,
    twin=partial(train, dtype=torch.float32),
    threshold=0.4,
    architecture="MLP",
    optimizer="SGD",
    fault="loss-scale-collapse",
    equivalents=frozenset({"non-finite"}),
    causes=frozenset({CauseKind.PRECISION}),
)
