"""A tanh RNN that must remember its first token for eighty steps."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import recall
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Reader(nn.Module):
    """An RNN whose last state names the first token."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        states, _ = self.rnn(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, length: int = 80) -> float:
    """Train with Adam; the healthy twin has to remember for four steps only."""
    torch.manual_seed(seed)
    data = recall(seed, length=length)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200, max_norm=1.0)


CASE = Case(
    description="tanh RNN under Adam, first-token recall over 80 steps; the gradient vanishes in time",
    run=train,
    twin=partial(train, length=4),
    threshold=0.5,
    architecture="RNN",
    optimizer="Adam",
    fault="vanishing-gradient",
    causes=frozenset({CauseKind.RECURRENT_JACOBIAN}),
    modules=("rnn",),
)
