"""Adam with a learning rate of one: each step is several times the size of the weights."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Language(nn.Module):
    """A GRU language model."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(16, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.gru(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int, *, lr: float = 1.0) -> float:
    """Train with Adam; the healthy twin has a learning rate of 0.01."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="GRU language model under Adam with lr 1; it does worse than guessing",
    run=train,
    twin=partial(train, lr=0.01),
    threshold=1.2,
    architecture="GRU",
    optimizer="Adam",
    fault="update-too-large",
    causes=frozenset({CauseKind.LEARNING_RATE_HIGH}),
    first_step=(0, 5),
    repairs=frozenset({"lower-lr"}),
)
