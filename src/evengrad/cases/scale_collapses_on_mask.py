"""A fully masked row of attention gives NaN on every batch; the GradScaler takes it for overflow and skips them all."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Attention(nn.Module):
    """One attention layer that may not look at itself: the first position has nothing to look at."""

    def __init__(self, *, diagonal: int, width: int = 32) -> None:
        super().__init__()
        self.diagonal = diagonal
        self.token = nn.Embedding(16, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        x = self.token(tokens)
        q, k, v = self.qkv(x).chunk(3, dim=2)
        scores = q @ k.transpose(1, 2) / math.sqrt(x.shape[2])
        mask = torch.ones(scores.shape[1:], dtype=torch.bool).tril(self.diagonal)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(2)
        return self.head(x + weights @ v)  # type: ignore[no-any-return]


def train(seed: int, *, diagonal: int = -1) -> float:
    """Train with AdamW and a GradScaler; in the healthy twin each position sees itself."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Attention(diagonal=diagonal)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cpu")
    losses = []
    for _ in range(120):
        tokens, following = data.batch(16)
        logits = model(tokens)[:, 1:]  # the first position is not scored
        loss = F.cross_entropy(logits.flatten(0, 1), following[:, 1:].flatten())
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="attention with a fully masked row under AdamW and a GradScaler; all steps are skipped in silence",
    run=train,
    twin=partial(train, diagonal=0),
    threshold=1.2,
    architecture="attention",
    optimizer="AdamW",
    fault="loss-scale-collapse",
    equivalents=frozenset({"non-finite"}),
    causes=frozenset({CauseKind.LOSS_NUMERICS}),
)
