"""H3 of the peers' comparison: a two-layer GPT under AdamW."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._peers import fit_scaled


class Block(nn.Module):
    """Pre-norm attention and feed-forward net."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, [B, T, D]."""
        batch, time, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, time, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(heads.transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Gpt(nn.Module):
    """Token and position embeddings, two blocks, a head."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(16, width)
        self.position = nn.Embedding(24, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 16, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]


def train(seed: int, *, loss_scale: float = 1.0) -> float:
    """Train 200 steps."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        tokens, following = data.batch(16)
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale)


CASE = Case(
    description="H3: two-layer GPT under AdamW",
    run=train,
    threshold=1.0,
    architecture="transformer",
    optimizer="AdamW",
)
