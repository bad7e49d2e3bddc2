"""A LoRA adapter whose two factors both start at zero: each waits for the other for ever."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class LoraLinear(nn.Module):
    """A frozen linear layer plus a low-rank product."""

    def __init__(self, width: int, rank: int, *, both_zero: bool) -> None:
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.a = nn.Parameter(torch.zeros(rank, width))
        self.b = nn.Parameter(torch.zeros(width, rank))
        if not both_zero:
            nn.init.kaiming_uniform_(self.a)

    def forward(self, x: Tensor) -> Tensor:
        """Return the adapted output, [B, D]."""
        return self.base(x) + x @ self.a.T @ self.b.T  # type: ignore[no-any-return]


class Adapted(nn.Module):
    """Two adapted layers below a frozen head."""

    def __init__(self, *, both_zero: bool) -> None:
        super().__init__()
        self.one = LoraLinear(64, 4, both_zero=both_zero)
        self.two = LoraLinear(64, 4, both_zero=both_zero)
        self.head = nn.Linear(64, 10).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(torch.tanh(self.two(torch.tanh(self.one(x)))))  # type: ignore[no-any-return]


def train(seed: int, *, both_zero: bool = True) -> float:
    """Train the adapters with AdamW; the healthy twin starts factor A at random."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Adapted(both_zero=both_zero)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="LoRA with both factors zero under AdamW; no adapter ever gets a gradient",
    run=train,
    twin=partial(train, both_zero=False),
    threshold=1.0,
    architecture="LoRA MLP",
    optimizer="AdamW",
    fault="no-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL, CauseKind.DISCONNECTED}),
    modules=("one", "two"),
    repairs=frozenset({"he-init"}),
)
