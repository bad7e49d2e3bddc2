"""The eight sick and four healthy loops of the peers' comparison, plain and at a loss scale of 65536.

Run from the repository's root: ``python -m benchmarks.peers_loops``. At the loss scale the loss is multiplied before
backward and the gradients are divided before the step, so that everything measured in between is 65536 times larger and
training is the same. S7 is not counted there: a loss scale is the remedy for its underflow, and what is left of it is a
loss weight of 1e-5 that makes every step too short; it is run all the same, and shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks._results import Figure, append, share
from benchmarks._score import Outcome, outcome
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue

SCALES = (1.0, 65536.0)
CURED_BY_SCALE = "peers-s7-fp16-casts"


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    by_scale = {scale: measure(scale, range(arguments.seeds)) for scale in SCALES}
    console = Console(width=None if sys.stdout.isatty() else 160)
    for scale, outcomes in by_scale.items():
        console.print(table(outcomes, f"loss scale {scale:g}"))
    if not arguments.dry:
        lines = [line for scale, outcomes in by_scale.items() for line in figures(outcomes, scale)]
        console.print(f"appended to {append('peers_loops.jsonl', lines)}")


def loops(scale: float) -> dict[str, Case]:
    """Return the peers' cases with a loss scale put into their training."""
    modules = {name: module for name, module in catalogue("evengrad.cases").items() if name.startswith("peers-")}
    return {name: replace(m.CASE, run=partial(m.train, loss_scale=scale)) for name, m in modules.items()}


def measure(scale: float, seeds: Sequence[int]) -> list[Outcome]:
    """Run the twelve loops on every seed."""
    jobs = [(name, case, seed) for name, case in loops(scale).items() for seed in seeds]
    console = Console(stderr=True)
    return [
        outcome(name, case, seed, twin=False, baselines=())
        for name, case, seed in track(jobs, f"loss scale {scale:g}", console=console)
    ]


def figures(outcomes: Sequence[Outcome], scale: float) -> list[Figure]:
    """Return recall with place and step, causes, and false alarms."""
    counted = [o for o in outcomes if scale == 1.0 or o.name != CURED_BY_SCALE]
    sick = [o.verdicts["evengrad"] for o in counted if o.sick]
    healthy = [o.verdicts["evengrad"] for o in counted if not o.sick]
    at = f"loss scale {scale:g}"
    return [
        share(f"peers/recall/{at}", sum(v.found for v in sick), len(sick)),
        share(f"peers/cause right/{at}", sum(v.found and v.cause for v in sick), len(sick)),
        share(f"peers/false alarms/{at}", sum(v.alarms > 0 for v in healthy), len(healthy)),
    ]


def table(outcomes: Sequence[Outcome], title: str) -> Table:
    """Return one row per loop: how often found, cause right, alarms besides, and what was said on the first seed."""
    rows = Table("loop", "found", "cause right", "other alarms", "said on seed 0", title=title)
    for name in dict.fromkeys(o.name for o in outcomes):
        runs = [o.verdicts["evengrad"] for o in outcomes if o.name == name]
        sick = next(o.sick for o in outcomes if o.name == name)
        found = f"{sum(v.found for v in runs)}/{len(runs)}" if sick else ""
        cause = f"{sum(v.cause for v in runs)}/{len(runs)}" if sick else ""
        others = sum(v.extra if sick else v.alarms for v in runs)
        rows.add_row(name.removeprefix("peers-"), found, cause, str(others), "; ".join(runs[0].said) or "nothing")
    return rows


if __name__ == "__main__":
    main()
