"""Small networks of different kinds, and one watched step of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evengrad
from evengrad.core.trace import Trace


class FunctionalMlp(nn.Module):
    """Activations are calls, not modules."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class Residual(nn.Module):
    """Skips round blocks with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 16)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(4)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class HandRnn(nn.Module):
    """A recurrence written as a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.hidden, self.out = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 16)
        for t in range(x.shape[1]):
            h = torch.tanh(self.into(x[:, t]) + self.hidden(h))
        return self.out(h)


class Transformer(nn.Module):
    """Embedding, attention blocks, head; the head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(tokens)))


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


def _floats(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(shape)


NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "functional mlp": (FunctionalMlp, _floats(8, 16)),
    "residual": (Residual, _floats(8, 16)),
    "hand-written rnn": (HandRnn, _floats(8, 12, 4)),
    "transformer": (Transformer, lambda: torch.randint(0, 11, (4, 7))),
    "convolution": (convolution, _floats(6, 1, 10, 10)),
}


def watched_steps(
    model: nn.Module,
    batch: Callable[[], Tensor],
    *,
    steps: int = 3,
    factor: float = 1.0,
    loss: Callable[[Tensor], Tensor] = lambda output: output.square().mean(),
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
) -> Trace:
    """Train a few steps under watch and return the trace."""
    chosen = optimizer(model.parameters(), lr=1e-3)
    with evengrad.watch(model, chosen) as monitor:
        for _ in range(steps):
            chosen.zero_grad()
            (loss(model(batch())) * factor).backward()
            chosen.step()
    assert monitor.failure is None
    return monitor.trace()


def classification(output: Tensor) -> Tensor:
    """Cross entropy against class 0."""
    return F.cross_entropy(output, torch.zeros(output.shape[0], dtype=torch.long))
