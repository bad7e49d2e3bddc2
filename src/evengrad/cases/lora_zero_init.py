"""A LoRA adapter as it should be: factor B starts at zero, so factor A has no gradient at step 0."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class LoraLinear(nn.Module):
    """A frozen linear layer plus a low-rank product that starts at zero."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.a = nn.Parameter(torch.empty(rank, width))
        self.b = nn.Parameter(torch.zeros(width, rank))
        nn.init.kaiming_uniform_(self.a)

    def forward(self, x: Tensor) -> Tensor:
        """Return the adapted output, [B, D]."""
        return self.base(x) + x @ self.a.T @ self.b.T  # type: ignore[no-any-return]


class Adapted(nn.Module):
    """Two adapted layers below a frozen head."""

    def __init__(self) -> None:
        super().__init__()
        self.one = LoraLinear(64, 4)
        self.two = LoraLinear(64, 4)
        self.head = nn.Linear(64, 10).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(torch.tanh(self.two(torch.tanh(self.one(x)))))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train the adapters with AdamW."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Adapted()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="LoRA with factor B zero under AdamW: exact zero gradients at step 0, and it trains",
    run=train,
    threshold=1.0,
    architecture="LoRA MLP",
    optimizer="AdamW",
)
