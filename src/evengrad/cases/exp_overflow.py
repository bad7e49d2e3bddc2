"""Attention with a softmax written by hand: exp overflows once the temperature has fallen far enough."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Attention(nn.Module):
    """One causal attention layer whose softmax does not subtract the maximum."""

    def __init__(self, *, safe: bool, width: int = 32) -> None:
        super().__init__()
        self.safe = safe
        self.token = nn.Embedding(16, width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.head = nn.Linear(width, 16)

    def forward(self, tokens: Tensor, temperature: float) -> Tensor:
        """Return logits [B, T, 16]."""
        x = self.token(tokens)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / (math.sqrt(x.shape[2]) * temperature)
        mask = torch.ones(scores.shape[1:], dtype=torch.bool).tril()
        if self.safe:
            weights = scores.masked_fill(~mask, -torch.inf).softmax(2)
        else:
            powers = torch.exp(scores) * mask
            weights = powers / powers.sum(2, keepdim=True)
        return self.head(x + weights @ self.value(x))  # type: ignore[no-any-return]


def train(seed: int, *, safe: bool = False) -> float:
    """Train with Adam while the temperature falls; the healthy twin uses the library's softmax."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Attention(safe=safe)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens, 0.97**step).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="hand-written softmax attention under Adam with falling temperature; exp overflows",
    run=train,
    twin=partial(train, safe=True),
    threshold=1.2,
    architecture="attention",
    optimizer="Adam",
    fault="non-finite",
    causes=frozenset({CauseKind.LOSS_NUMERICS, CauseKind.PRECISION}),
    first_step=(20, 149),
    repairs=frozenset({"loss-eps"}),
)
