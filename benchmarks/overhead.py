"""What watching costs: the same training, plain and watched, in alternating pairs within one process.

Run from the repository's root: ``python -m benchmarks.overhead``. Every figure is a ratio of watched to plain time of
one pair; CPU time is the figure to trust on a shared machine. A watched run includes setting up, taking down and the
final trace. Early steps are probed more often than later ones, so a short run pays relatively more: the steps of each
net are in the figure's name.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks._results import Figure, append, ratio
from evengrad import watch

Parts = tuple[nn.Module, torch.optim.Optimizer, Callable[[], Tensor]]


@dataclass(frozen=True)
class Net:
    """A training problem: how to set it up, and how many steps a run has."""

    name: str
    build: Callable[[], Parts]
    steps: int


@dataclass(frozen=True)
class Seconds:
    """Time of one run."""

    cpu: float
    wall: float


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--nets", nargs="*", choices=[net.name for net in NETS], default=None)
    parser.add_argument("--budget", type=float, default=0.01)
    parser.add_argument("--shorten", type=int, default=1, help="divide the steps of every run by this")
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    figures: list[Figure] = []
    for net in NETS:
        if arguments.nets is None or net.name in arguments.nets:
            steps = max(1, net.steps // arguments.shorten)
            figures += measure(net, steps, pairs=arguments.pairs, budget=arguments.budget)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table(figures))
    if not arguments.dry:
        console.print(f"appended to {append('overhead.jsonl', figures)}")


def measure(net: Net, steps: int, *, pairs: int, budget: float) -> list[Figure]:
    """Return CPU and wall ratios of watched to plain runs; a first pair warms up and is thrown away."""
    cpu, wall = [], []
    for pair in range(-1, pairs):
        plain, watched = run(net, steps, budget=None), run(net, steps, budget=budget)
        if pair >= 0:
            cpu.append(watched.cpu / plain.cpu)
            wall.append(watched.wall / plain.wall)
    what = f"{net.name}, {steps} steps, budget {budget:g}"
    return [ratio(f"overhead/cpu/{what}", cpu), ratio(f"overhead/wall/{what}", wall)]


def run(net: Net, steps: int, *, budget: float | None) -> Seconds:
    """Train once, watched when a budget is given, and return the time of everything but building the model."""
    torch.manual_seed(0)
    model, optimizer, loss_of = net.build()
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    with nullcontext() if budget is None else watch(model, optimizer, budget=budget) as monitor:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
    if monitor is not None:
        monitor.trace()
    return Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def table(figures: list[Figure]) -> Table:
    """Return the figures as rows."""
    rows = Table("watched / plain", "min", "median", "max", "pairs", title="overhead")
    for figure in figures:
        cells = (f"{value:.3f}" for value in (figure.low, figure.median, figure.high))
        rows.add_row(figure.name.removeprefix("overhead/"), *cells, str(figure.n))
    return rows


def seed_mlp() -> Parts:
    """Return the founding text's net: 10-100-100-1, ReLU, batches of 64, SGD."""
    model = nn.Sequential(nn.Linear(10, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def loss_of() -> Tensor:
        return F.mse_loss(model(torch.randn(64, 10)), torch.randn(64, 1))

    return model, optimizer, loss_of


def tanh_tower() -> Parts:
    """Return fifty tanh layers of 256 units, batches of 128, SGD with momentum."""
    layers: list[nn.Module] = []
    for _ in range(50):
        linear = nn.Linear(256, 256)
        nn.init.xavier_normal_(linear.weight)
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x, y = torch.randn(128, 256), torch.randint(10, (128,))

    def loss_of() -> Tensor:
        return F.cross_entropy(model(x), y)

    return model, optimizer, loss_of


class Block(nn.Module):
    """Pre-norm attention and feed-forward net."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, [B, T, D]."""
        batch, time_steps, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, time_steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(heads.transpose(1, 2).reshape(batch, time_steps, width))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    """Token and position embeddings, pre-norm blocks, a head."""

    def __init__(self, *, vocabulary: int = 64, context: int = 64, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(context, width))
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, V]."""
        x = self.token(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def small_gpt() -> Parts:
    """Return a GPT of four blocks of width 128, batches of 8 sequences of 64 tokens, AdamW."""
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss_of() -> Tensor:
        tokens = torch.randint(64, (8, 65))
        return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    return model, optimizer, loss_of


NETS = (
    Net("seed MLP 10-100-100-1", seed_mlp, 10000),
    Net("50x256 tanh MLP", tanh_tower, 150),
    Net("GPT 4x128", small_gpt, 100),
)


if __name__ == "__main__":
    main()
