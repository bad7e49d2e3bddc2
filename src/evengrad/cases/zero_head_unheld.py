"""A head that begins at zero, and that the optimizer was not given."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Classifier(nn.Module):
    """A backbone, and a head whose weights begin at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(self.backbone(x))  # type: ignore[no-any-return]


def train(seed: int, *, whole: bool = False) -> float:
    """Train with Adam; the healthy twin gives it the whole model."""
    torch.manual_seed(seed)
    data = clusters(seed, features=32)
    model = Classifier()
    optimizer = torch.optim.Adam((model if whole else model.backbone).parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="zero-initialised head left out of Adam's parameters; no gradient ever passes it",
    run=train,
    twin=partial(train, whole=True),
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
    fault="loop-order",
    equivalents=frozenset({"no-gradient"}),
    causes=frozenset({CauseKind.DISCONNECTED}),
    modules=("head",),
    repairs=frozenset({"reconnect"}),
)
