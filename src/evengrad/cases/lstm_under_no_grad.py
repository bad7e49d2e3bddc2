"""A reader that runs under torch.no_grad(), as it did when it was still a frozen feature extractor."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import recall
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Reader(nn.Module):
    """An LSTM and a head."""

    def __init__(self, *, frozen: bool) -> None:
        super().__init__()
        self.frozen = frozen
        self.lstm = nn.LSTM(4, 24, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        with torch.set_grad_enabled(not self.frozen):
            states, _ = self.lstm(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int, *, frozen: bool = True) -> float:
    """Train with SGD; in the healthy twin the reader learns too."""
    torch.manual_seed(seed)
    data = recall(seed, length=4)
    model = Reader(frozen=frozen)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(64)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 200)


CASE = Case(
    description="LSTM run under no_grad while SGD holds its weights; only the head learns",
    run=train,
    twin=partial(train, frozen=False),
    threshold=0.5,
    architecture="LSTM",
    optimizer="SGD",
    fault="no-gradient",
    causes=frozenset({CauseKind.DISCONNECTED}),
    modules=("lstm",),
    repairs=frozenset({"reconnect"}),
)
