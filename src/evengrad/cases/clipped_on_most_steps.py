"""Clipping at 1 where the norm is usually two or three: most steps are shortened, and it trains."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit


class Language(nn.Module):
    """An LSTM language model."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(16, 24)
        self.lstm = nn.LSTM(24, 48, batch_first=True)
        self.head = nn.Linear(48, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.lstm(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD and clipping."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 150, max_norm=0.1)


CASE = Case(
    description="LSTM language model under SGD, clipped below its usual norm on most steps, and it trains",
    run=train,
    threshold=1.2,
    architecture="LSTM",
    optimizer="SGD",
)
