"""A frozen embedding whose parameters were handed to the optimizer all the same, as model.parameters() does."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit


class Language(nn.Module):
    """A GRU language model on frozen embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(16, 24)
        self.token.weight.requires_grad_(False)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.gru(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with AdamW."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 120)


CASE = Case(
    description="GRU language model on embeddings frozen with requires_grad=False, all handed to AdamW",
    run=train,
    threshold=1.2,
    architecture="GRU",
    optimizer="AdamW",
)
