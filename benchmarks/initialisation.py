"""What each initialisation does to the gradient over depth, and how many sick programs it repairs.

Run from the repository's root: ``python -m benchmarks.initialisation``. Depth: multilayer perceptrons of width 128; the
figure is log10 of the largest over the smallest rms of the gradient over the layers. Repair: the programs in
``evengrad.cases`` whose fault an initialisation can reach, begun with the method; a run counts as repaired when its
final loss is below the case's own threshold. The healthy programs are begun with the critical method as well.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from benchmarks._results import Figure, append, share
from evengrad import init_
from evengrad.core.discover import catalogue

METHODS = ("default", "xavier", "he", "orthogonal", "lsuv", "data-dependent", "critical")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "tanh": torch.tanh, "gelu": F.gelu, "silu": F.silu, "selu": F.selu, "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid, "softplus": F.softplus,
}  # fmt: skip
DEPTHS = (30, 100)
WIDTH = 128
CASES = (
    "deep-sigmoid-mlp", "deep-sigmoid-conv", "deep-relu-default-init", "tanh-tiny-init", "tanh-chaotic",
    "residual-without-norm", "deep-gelu-adam", "relu-double-he", "hardtanh-large-weights", "zero-init-mlp",
    "dead-relu-bias", "dead-conv-bias", "conv-unit-init",
)  # fmt: skip


class Tower(nn.Module):
    """Equal layers, a functional activation after each, and a head."""

    def __init__(self, depth: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.head, self.function, self.outputs = nn.Linear(WIDTH, 10), function, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]; keeps the pre-activations."""
        self.outputs = []
        for layer in self.layers:
            self.outputs.append(layer(x))
            x = self.function(self.outputs[-1])
        return self.head(x)


def spread(method: str, function: Callable[[Tensor], Tensor], depth: int, seed: int) -> float:
    """Return decades between the largest and the smallest rms gradient over depth; ``inf`` if one underflows."""
    torch.manual_seed(seed)
    net, x = Tower(depth, function), torch.randn(64, WIDTH)
    if method != "default":
        init_(net, method, x)
    loss = F.cross_entropy(net(x), torch.arange(64) % 10)
    sizes = [float(g.double().square().mean().sqrt()) for g in torch.autograd.grad(loss, net.outputs)]
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.inf
    return math.log10(max(sizes) / min(sizes))


@contextmanager
def initialised(method: str) -> Iterator[None]:
    """Draw the weights of the first model that is called, just before it is."""
    drawn: list[nn.Module] = []

    def draw(module: nn.Module, inputs: tuple[object, ...]) -> None:
        if not drawn and next(module.parameters(), None) is not None:
            drawn.append(module)
            if method != "default":
                init_(module, method, inputs)

    handle = torch_module.register_module_forward_pre_hook(draw)
    try:
        yield
    finally:
        handle.remove()


def over_depth(seeds: int, console: Console) -> list[Figure]:
    """Return the spread of every method, activation and depth."""
    figures: list[Figure] = []
    for depth in DEPTHS:
        table = Table("method", *ACTIVATIONS, title=f"decades over {depth} layers, median of {seeds} seeds", box=None)
        for method in METHODS:
            row: list[str] = []
            for name, function in ACTIVATIONS.items():
                found = [spread(method, function, depth, seed) for seed in range(seeds)]
                middle = statistics.median(found)
                row.append(f"{middle:.2f}")
                figures.append(_figure(f"gradient spread {method} {name} depth {depth}", "decades", found))
            table.add_row(method, *row)
        console.print(table)
    return figures


def over_cases(seeds: int, console: Console) -> list[Figure]:
    """Return the share of sick programs that every method repairs."""
    figures: list[Figure] = []
    cases = {name: catalogue("evengrad.cases")[name].CASE for name in CASES}
    table = Table("case", *METHODS, title=f"repaired, of {seeds} seeds", box=None)
    hits = dict.fromkeys(METHODS, 0)
    for name, case in cases.items():
        row: list[str] = []
        for method in METHODS:
            good = 0
            for seed in range(seeds):
                with initialised(method):
                    good += case.trained(case.run(seed))
            hits[method] += good
            row.append(str(good))
            figures.append(share(f"repaired {method} {name}", good, seeds))
        table.add_row(name, *row)
    console.print(table)
    figures += [share(f"repaired {method}", hits[method], seeds * len(cases)) for method in METHODS]
    return figures


def healthy(console: Console) -> list[Figure]:
    """Return the share of healthy programs that train as well when they begin with the critical method; one seed."""
    cases = {name: module.CASE for name, module in catalogue("evengrad.cases").items()}
    sound = {name: case for name, case in cases.items() if case.fault is None}
    worse: list[str] = []
    for name, case in sound.items():
        with initialised("critical"):
            if not case.trained(case.run(0)):
                worse.append(name)
    console.print(f"healthy programs that train with critical: {len(sound) - len(worse)} of {len(sound)} {worse}")
    return [share("healthy programs that train with critical", len(sound) - len(worse), len(sound))]


def _figure(name: str, unit: str, found: Sequence[float]) -> Figure:
    finite = [value if math.isfinite(value) else 999.0 for value in found]  # a gradient of 0: JSON has no infinity
    middle = statistics.median(finite)
    return Figure(name, middle, unit, len(finite), min(finite), middle, max(finite))


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=140)
    figures = over_depth(arguments.seeds, console) + over_cases(arguments.seeds, console) + healthy(console)
    if not arguments.dry:
        console.print(f"appended to {append('initialisation.jsonl', figures)}")


if __name__ == "__main__":
    main()
