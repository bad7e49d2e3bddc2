"""What a check costs on large nets: seconds, and peak memory in units of the model's own.

Each net is built and checked in a process of its own. Memory is the high-water mark of the resident set, less what it
was after the imports: weights, activations, gradients and evengrad's own together, in units of the weights.

    PYTHONPATH=src:. python -m benchmarks.check_size [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tests.checks.architectures import Gpt
from torch import nn

from benchmarks._results import Figure, append


def deep(width: int) -> nn.Module:
    """Return a thousand plain layers, drawn as He says."""
    parts: list[nn.Module] = []
    for _ in range(1000):
        layer = nn.Linear(width, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def deep_default() -> nn.Module:
    """Return a thousand plain layers as torch draws them."""
    parts = [part for _ in range(1000) for part in (nn.Linear(256, 256), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(256, 10))


def large() -> nn.Module:
    """Return a GPT-2 small: 124 million parameters."""
    return Gpt(12, width=768, vocabulary=50257)


NETS: dict[str, Callable[[], nn.Module]] = {
    "1,000 layers of 128, He": lambda: deep(128),
    "1,000 layers of 256, He": lambda: deep(256),
    "1,000 layers of 256, default": deep_default,
    "GPT-2 small, tied": large,
}


def high_water(reset: bool = False) -> int:
    """Return the high-water mark of this process's resident set in bytes; Linux only."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(name: str, live: bool) -> dict[str, float]:
    """Check one net in this process."""
    from evengrad.checks.check import check

    check(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), seeds=1)  # what the first use loads
    before = high_water(reset=True)
    build = NETS[name]
    started = time.perf_counter()
    if live:
        model = build()
        started = time.perf_counter()
        result = check(model)
    else:
        result = check(build)
    seconds = time.perf_counter() - started
    size = 4 * result.setup.parameters
    return {"seconds": seconds, "memory": (high_water() - before) / size, "size": size, "sick": not result.healthy}


def main() -> None:
    """Measure every net in its own process and append the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", default="")
    parser.add_argument("--live", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(options.one, options.live)))
        return
    figures = []
    for name in NETS:
        for way in ([], ["--live"]):
            command = [sys.executable, "-m", "benchmarks.check_size", "--one", name, "--threads", str(options.threads)]
            done = subprocess.run([*command, *way], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            label = f"check_size/{name}/{'live model' if way else 'built, 3 seeds'}"
            print(label, found, flush=True)
            for key, unit in (("seconds", "s"), ("memory", "model")):
                value = found[key]
                figures.append(Figure(f"{label}/{key}", value, unit, 1, value, value, value))
    append("check_size.jsonl", figures)


if __name__ == "__main__":
    main()
