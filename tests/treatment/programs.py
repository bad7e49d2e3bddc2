"""Small training programs, and plans to carry out on them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Plan, Risk, Setting


def plan(act: Act, *modules: str, lines: tuple[SourceLine, ...] = (), **settings: Setting) -> Plan:
    """Return a plan of one change."""
    return Plan((Change(f"a-{act.value}", act, Risk.OPTIMIZER, tuple(settings.items()), modules, lines=lines),))


class Functional(nn.Module):
    """Calls its activations as functions: in a loop, as a method, and one in a loss-like place."""

    def __init__(self, width: int = 6, depth: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gate, self.head = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x * self.gate(x).tanh())


def data(seed: int = 0, width: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(16, width, generator=generator), torch.randint(2, (16,), generator=generator)


def steps(model: nn.Module, optimizer: Optimizer, count: int = 3, *, width: int = 6) -> list[float]:
    """Train, and return the losses."""
    x, y = data(width=width)
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def weights(model: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in model.state_dict().values()]


def assert_same(first: list[Tensor], second: list[Tensor]) -> None:
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
