"""A softmax over a single logit: the prediction is 1 whatever the input."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Scorer(nn.Module):
    """Two hidden layers and one output."""

    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 1)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities [B, 1]."""
        return self.output(self.head(self.body(x)))  # type: ignore[no-any-return]


def train(seed: int, *, softmax: bool = True) -> float:
    """Train with Adam; the healthy twin ends in a sigmoid."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=2, features=16, spread=1.5)
    model = Scorer(nn.Softmax(dim=1) if softmax else nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.binary_cross_entropy(model(x), y.float().unsqueeze(1))

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="softmax over one logit before a binary cross-entropy under Adam; the output is always 1",
    run=train,
    twin=partial(train, softmax=False),
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
    fault="constant-output",
    causes=frozenset({CauseKind.OUTPUT_ACTIVATION}),
    repairs=frozenset({"sigmoid-output"}),
)
