"""A hand-written pre-norm transformer without warm-up; its attention starts uniform."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import fit


class Block(nn.Module):
    """Norm before attention, norm before the feed-forward net."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, [B, T, D]."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=2)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of pre-norm blocks."""

    def __init__(self, *, depth: int = 6, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(16, width)
        self.position = nn.Parameter(0.02 * torch.randn(24, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        x = self.token(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with AdamW."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit(loss_of, optimizer, 80)


CASE = Case(
    description="6-block pre-norm transformer under AdamW without warm-up",
    run=train,
    threshold=1.2,
    architecture="transformer",
    optimizer="AdamW",
)
