"""Four backward passes before each step: gradients are added on purpose."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import final


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


def train(seed: int) -> float:
    """Train with AdamW, stepping and clearing after every fourth batch."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = ConvNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for micro_step in range(240):
        x, y = data.batch(16)
        loss = F.cross_entropy(model(x), y)
        (loss / 4).backward()  # type: ignore[no-untyped-call]
        if (micro_step + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="convolutional net under AdamW with four accumulated batches per step",
    run=train,
    threshold=0.4,
    architecture="CNN",
    optimizer="AdamW",
)
