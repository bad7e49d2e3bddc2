"""S4 of the peers' comparison: a ReLU RNN with recurrent gain 1.75, a hundred steps long."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


class Reader(nn.Module):
    """A fused ReLU RNN with a linear head."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 64, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(64, 4)
        nn.init.orthogonal_(self.rnn.get_parameter("weight_hh_l0"), gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 4]."""
        states, _ = self.rnn(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, loss_scale: float = 1.0, gain: float = 1.75) -> float:
    """Train 200 steps with Adam; the healthy twin has a gain of 0.9."""
    torch.manual_seed(seed)
    data = echo(seed, length=100, features=4)
    model = Reader(gain)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(16)
        return F.mse_loss(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="S4: ReLU RNN with recurrent gain 1.75 over 100 steps under Adam; gradients of 1e15",
    run=train,
    twin=partial(train, gain=0.9),
    threshold=0.4,
    architecture="RNN",
    optimizer="Adam",
    fault="exploding-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.RECURRENT_JACOBIAN, CauseKind.WEIGHT_SCALE_LARGE}),
    modules=("rnn",),
    repairs=frozenset({"orthogonal-init"}),
)
