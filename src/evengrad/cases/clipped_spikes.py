"""A recurrence whose gradient now and then jumps by orders of magnitude; clipping at 1 takes care of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import echo
from evengrad.cases._loop import fit


class Accumulator(nn.Module):
    """A ReLU recurrence that reads numbers one by one."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.hidden = hidden
        self.read = nn.Linear(1, hidden)
        self.recur = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.recur.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions [B, 1]."""
        state = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            state = F.relu(self.recur(state) + self.read(x[:, t]))
        return self.head(state)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD and clipping; one batch in forty is scaled up tenfold."""
    torch.manual_seed(seed)
    data = echo(seed, length=20)
    model = Accumulator()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        outlier = 10.0 if step % 40 == 39 else 1.0
        return F.mse_loss(model(outlier * x), outlier * y)

    return fit(loss_of, optimizer, 250, max_norm=1.0)


CASE = Case(
    description="ReLU recurrence under SGD, clipped at 1: spikes of the gradient norm that do no harm",
    run=train,
    threshold=0.3,
    architecture="RNN",
    optimizer="SGD",
)
