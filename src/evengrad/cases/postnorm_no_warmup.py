"""A post-norm transformer of eight blocks, thrown into its full learning rate without warm-up."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Block(nn.Module):
    """Attention and a feed-forward net, each followed by a norm of the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, [B, T, D]."""
        q, k, v = self.qkv(x).chunk(3, dim=2)
        x = self.norm1(x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        return self.norm2(x + self.mlp(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of post-norm blocks."""

    def __init__(self, *, depth: int = 8, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(16, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        x = self.token(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int, *, lr: float = 0.03, warmup: int = 0) -> float:
    """Train with AdamW; the healthy twin warms up to a learning rate of 0.002."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (warmup + 1)))

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 80, scheduler=ramp)


CASE = Case(
    description="post-norm transformer under AdamW with lr 0.03 and no warm-up; it stays at the unigram loss",
    run=train,
    twin=partial(train, lr=0.002, warmup=30),
    threshold=1.3,
    architecture="transformer",
    optimizer="AdamW",
    fault="update-too-large",
    causes=frozenset({CauseKind.WARMUP_MISSING, CauseKind.LEARNING_RATE_HIGH}),
    first_step=(0, 10),
    repairs=frozenset({"lower-lr"}),
)
