"""An embedding of two thousand rows of which a batch touches a few: most of its gradient is exactly zero."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Bag(nn.Module):
    """Mean of embeddings, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(2000, 32, sparse=True)
        self.head = nn.Linear(32, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(self.embedding(tokens))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with SGD on sparse gradients; each class prefers its own tokens."""
    torch.manual_seed(seed)
    _, y = clusters(seed)
    rare = torch.randint(2000, (len(y), 8))
    tokens = torch.where(torch.rand(len(y), 8) < 0.6, y[:, None] * 20 + rare % 20, rare)
    model = Bag()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)

    def loss_of(step: int) -> Tensor:
        index = torch.randint(len(y), (64,))
        return F.cross_entropy(model(tokens[index]), y[index])

    return fit(loss_of, optimizer, 300)


CASE = Case(
    description="bag of embeddings with sparse gradients under SGD: most rows never move, as they should",
    run=train,
    threshold=0.6,
    architecture="embedding",
    optimizer="SGD",
)
