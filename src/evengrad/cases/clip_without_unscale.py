"""Gradients are clipped at 1 while they still carry GradScaler's factor of 65536."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class ConvNet(nn.Module):
    """Two convolutions and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1))  # type: ignore[no-any-return]


def train(seed: int, *, unscale: bool = False) -> float:
    """Train with SGD and a GradScaler; the healthy twin calls unscale_ before it clips."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    losses = []
    for _ in range(150):
        x, y = data.batch(32)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if unscale:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="convolutional net under SGD with a GradScaler, clipped before unscale_; it hardly moves",
    run=train,
    twin=partial(train, unscale=True),
    threshold=0.4,
    architecture="CNN",
    optimizer="SGD",
    fault="loop-order",
    causes=frozenset({CauseKind.LOOP_ORDER}),
    first_step=(0, 3),
    repairs=frozenset({"unscale-before-clip"}),
)
