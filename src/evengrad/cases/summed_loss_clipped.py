"""A loss summed over batch and time, clipped at 1: the norm is in the hundreds, and so is the cut of each step."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Language(nn.Module):
    """An LSTM language model."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(16, 24)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.head = nn.Linear(32, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.lstm(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int, *, clip: bool = True) -> float:
    """Train with averaged SGD tuned to the sum, return the mean; the healthy twin does not clip."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.ASGD(model.parameters(), lr=0.01)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(32)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten(), reduction="sum")

    return fit(loss_of, optimizer, 120, max_norm=1.0 if clip else None) / (32 * 24)


CASE = Case(
    description="LSTM language model with a summed loss under ASGD, clipped at 1 on every step",
    run=train,
    twin=partial(train, clip=False),
    threshold=1.6,
    architecture="LSTM",
    optimizer="ASGD",
    fault="clipping-saturated",
    equivalents=frozenset({"update-too-small"}),
    causes=frozenset({CauseKind.LEARNING_RATE_LOW}),
    repairs=frozenset({"raise-clip", "remove-clip"}),
)
