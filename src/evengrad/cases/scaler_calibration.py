"""A GradScaler that starts far too high: the first steps overflow and are skipped, as designed, then all is well."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import final


class Mixed(nn.Module):
    """Layers that pass their activations on in half precision and keep float32 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.fc2(F.relu(self.fc1(x)).half().float()).half().float()  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD and a scale that begins at 2**24."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Mixed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    losses = []
    for _ in range(200):
        x, y = data.batch()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="float16 activations under SGD with a GradScaler from 2**24: a few skipped steps, then it trains",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="SGD",
)
