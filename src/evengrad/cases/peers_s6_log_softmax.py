"""S6 of the peers' comparison: log(softmax(x)) written out, and one corrupt sample at step 60."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


class Head(nn.Module):
    """Log-probabilities, written out or by the library."""

    def __init__(self, *, safe: bool) -> None:
        super().__init__()
        self.safe = safe
        self.fc = nn.Linear(64, 5)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities [B, 5]."""
        if self.safe:
            return F.log_softmax(self.fc(x), 1)
        return torch.log(self.softmax(self.fc(x)))


class Classifier(nn.Module):
    """A ReLU body and a head of log-probabilities."""

    def __init__(self, *, safe: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = Head(safe=safe)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities [B, 5]."""
        return self.head(self.body(x))  # type: ignore[no-any-return]


def train(seed: int, *, loss_scale: float = 1.0, safe: bool = False) -> float:
    """Train 200 steps with SGD; the healthy twin uses log_softmax and clips."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    model = Classifier(safe=safe)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        if step == 60:
            x = torch.cat([1e4 * x[:1], x[1:]])
        return -(F.one_hot(y, 5) * model(x)).sum(1).mean()  # type: ignore[no-any-return]

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale, max_norm=1.0 if safe else None)


CASE = Case(
    description="S6: log(softmax(x)) under SGD; a corrupt sample at step 60 gives 0 * log 0 in the head",
    run=train,
    twin=partial(train, safe=True),
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="non-finite",
    causes=frozenset({CauseKind.LOSS_NUMERICS}),
    modules=("head",),
    first_step=(60, 60),
    repairs=frozenset({"loss-eps"}),
)
