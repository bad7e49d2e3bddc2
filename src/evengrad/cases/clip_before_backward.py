"""Clipping comes before backward, where there is nothing to clip; the exploding recurrence goes unchecked."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Accumulator(nn.Module):
    """A ReLU recurrence whose gradients explode in time."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.hidden = hidden
        self.read = nn.Linear(1, hidden)
        self.recur = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.recur.weight, std=1.3 * (2 / hidden) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        state = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            state = F.relu(self.recur(state) + self.read(x[:, t]))
        return self.head(state)  # type: ignore[no-any-return]


def train(seed: int, *, clip_first: bool = True) -> float:
    """Train with SGD; the healthy twin clips between backward and step."""
    torch.manual_seed(seed)
    data = echo(seed, length=20)
    model = Accumulator()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(200):
        x, y = data.batch(32)
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        if clip_first:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        loss.backward()  # type: ignore[no-untyped-call]
        if not clip_first:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="ReLU recurrence under SGD, clipped before backward instead of after; it diverges",
    run=train,
    twin=partial(train, clip_first=False),
    threshold=0.5,
    architecture="RNN",
    optimizer="SGD",
    fault="loop-order",
    causes=frozenset({CauseKind.LOOP_ORDER}),
    first_step=(0, 3),
    repairs=frozenset({"clip-before-step"}),
)
