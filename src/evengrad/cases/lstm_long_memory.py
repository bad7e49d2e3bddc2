"""An LSTM cell, stepped by hand, with a forget gate of one half and a memory of a hundred steps to bridge."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import recall
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Memory(nn.Module):
    """An LSTM cell whose last state names the first token."""

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell = nn.LSTMCell(4, hidden)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        h = c = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return self.head(h)  # type: ignore[no-any-return]


def train(seed: int, *, length: int = 100) -> float:
    """Train with RMSprop; the healthy twin has to remember for five steps only."""
    torch.manual_seed(seed)
    data = recall(seed, length=length)
    model = Memory()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(16)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="LSTM cell under RMSprop, first-token recall over 100 steps; the gradient vanishes in time",
    run=train,
    twin=partial(train, length=5),
    threshold=0.6,
    architecture="LSTM",
    optimizer="RMSprop",
    fault="vanishing-gradient",
    causes=frozenset({CauseKind.RECURRENT_JACOBIAN, CauseKind.ACTIVATION_DERIVATIVE}),
    modules=("cell",),
)
