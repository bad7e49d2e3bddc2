"""One column of the table counts in the ten thousands; the two that matter are of order one."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import checkerboard
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Table(nn.Module):
    """Two ReLU layers over a table of features."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B]."""
        return self.out(self.hidden(x)).squeeze(1)  # type: ignore[no-any-return]


def train(seed: int, *, unit: float = 20000.0) -> float:
    """Train with Adam; the healthy twin has all columns in the same unit."""
    torch.manual_seed(seed)
    data = checkerboard(seed, features=4)
    scale = torch.tensor([1.0, 1.0, 1.0, unit])
    model = Table()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(scale * x), y)

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="ReLU MLP under Adam on a table with one column in the ten thousands; it drowns the others",
    run=train,
    twin=partial(train, unit=1.0),
    threshold=0.25,
    architecture="MLP",
    optimizer="Adam",
    fault="input-scale",
    causes=frozenset({CauseKind.INPUT_SCALE}),
    modules=("hidden.0",),
    first_step=(0, 5),
    repairs=frozenset({"normalise-input"}),
)
