"""A hand-written ReLU recurrence whose matrix is too large, over sixty steps."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Accumulator(nn.Module):
    """A ReLU recurrence that reads numbers one by one."""

    def __init__(self, gain: float, hidden: int = 32) -> None:
        super().__init__()
        self.hidden = hidden
        self.read = nn.Linear(1, hidden)
        self.recur = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.recur.weight, std=gain * (2 / hidden) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        state = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            state = F.relu(self.recur(state) + self.read(x[:, t]))
        return self.head(state)  # type: ignore[no-any-return]


def train(seed: int, *, gain: float = 1.6) -> float:
    """Train with RMSprop; the healthy twin has a smaller recurrent matrix."""
    torch.manual_seed(seed)
    data = echo(seed, length=60)
    model = Accumulator(gain)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.mse_loss(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="ReLU recurrence with gain 1.6 over 60 steps under RMSprop; the gradient explodes in time",
    run=train,
    twin=partial(train, gain=0.7),
    threshold=0.4,
    architecture="RNN",
    optimizer="RMSprop",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.RECURRENT_JACOBIAN, CauseKind.WEIGHT_SCALE_LARGE}),
    modules=("recur",),
    repairs=frozenset({"orthogonal-init"}),
)
