"""Cross-entropy written by hand as log(sigmoid(x)): one far outlier makes the logarithm of zero."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def by_hand(logit: Tensor, y: Tensor) -> Tensor:
    """Return the binary cross-entropy without any care for rounding."""
    p = torch.sigmoid(logit)
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


class Scorer(nn.Module):
    """Two hidden layers and one logit."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B]."""
        return self.head(self.body(x)).squeeze(1)  # type: ignore[no-any-return]


def train(seed: int, *, safe: bool = False) -> float:
    """Train with AdamW; the healthy twin uses the library's loss on logits."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=2, features=16, spread=1.5)
    model = Scorer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        if step == 60:
            x = torch.cat([400 * x[:1], x[1:]])
        logit = model(x)
        return F.binary_cross_entropy_with_logits(logit, y.float()) if safe else by_hand(logit, y.float())

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="hand-written log(sigmoid) loss under AdamW meets an outlier at step 60 and becomes NaN",
    run=train,
    twin=partial(train, safe=True),
    threshold=0.3,
    architecture="MLP",
    optimizer="AdamW",
    fault="non-finite",
    causes=frozenset({CauseKind.LOSS_NUMERICS}),
    first_step=(60, 60),
    repairs=frozenset({"loss-eps"}),
)
