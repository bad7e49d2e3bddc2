"""Half-precision activations and a small loss weight: gradients underflow to zero on their way back."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import spirals
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Mixed(nn.Module):
    """Layers that pass their activations on in half precision and keep float32 weights."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.fc1 = nn.Linear(2, 48)
        self.fc2 = nn.Linear(48, 48)
        self.fc3 = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B]."""
        x = torch.tanh(self.fc1(x)).to(self.dtype).float()
        x = torch.tanh(self.fc2(x)).to(self.dtype).float()
        return self.fc3(x).squeeze(1)  # type: ignore[no-any-return]


def train(seed: int, *, dtype: torch.dtype = torch.float16) -> float:
    """Train with RMSprop and return the loss without its weight; the healthy twin computes in float32."""
    torch.manual_seed(seed)
    data = spirals(seed)
    model = Mixed(dtype)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3, eps=1e-16)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return 1e-7 * F.binary_cross_entropy_with_logits(model(x), y)

    return fit(loss_of, optimizer, 400) / 1e-7


CASE = Case(
    description="float16 activations under RMSprop with a loss weight of 1e-7; gradients underflow to zero",
    run=train,
    twin=partial(train, dtype=torch.float32),
    threshold=0.3,
    architecture="MLP",
    optimizer="RMSprop",
    fault="precision-loss",
    equivalents=frozenset({"no-gradient", "vanishing-gradient"}),
    causes=frozenset({CauseKind.PRECISION}),
    modules=("fc1", "fc2"),
    repairs=frozenset({"fp32"}),
)
