"""A frozen backbone on purpose: only the head is trained, and the optimizer holds only the head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import bars
from evengrad.cases._loop import fit


class Transfer(nn.Module):
    """A frozen convolutional backbone and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)
        )
        self.head = nn.Linear(48 * 25, 4)
        self.backbone.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        return self.head(self.backbone(x).flatten(1))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train the head with Adam."""
    torch.manual_seed(seed)
    data = bars(seed)
    model = Transfer()
    optimizer = torch.optim.Adam(model.head.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="frozen convolutional backbone, head under Adam: most weights have no gradient, as intended",
    run=train,
    threshold=0.4,
    architecture="CNN",
    optimizer="Adam",
)
