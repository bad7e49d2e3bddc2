"""Embedding and output layer share one matrix: its gradient comes from both ends."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit


class Language(nn.Module):
    """A GRU language model with tied embeddings."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(16, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, 16, bias=False)
        self.head.weight = self.token.weight
        nn.init.normal_(self.token.weight, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.gru(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam and clipping."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 150, max_norm=1.0)


CASE = Case(
    description="GRU language model with tied embeddings under Adam, clipped at 1",
    run=train,
    threshold=1.0,
    architecture="GRU",
    optimizer="Adam",
)
