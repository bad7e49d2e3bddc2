"""Result files: one JSON line per figure, appended and never edited."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).parent
RESULTS = ROOT / "results"


@dataclass(frozen=True)
class Figure:
    """A measured figure: ``value``, the ``n`` measurements that it sums up, and what a paper says of the same."""

    name: str
    value: float
    unit: str
    n: int
    low: float
    median: float
    high: float
    published: float | None = None
    source: str = ""


def ratio(name: str, samples: Sequence[float]) -> Figure:
    """Return the median of some ratios as a figure."""
    middle = statistics.median(samples)
    return Figure(name, middle, "1", len(samples), min(samples), middle, max(samples))


def beside(name: str, samples: Sequence[float], *, published: float | None, source: str, unit: str = "1") -> Figure:
    """Return the median of some measurements beside the figure of a paper, None where it prints no number."""
    middle = statistics.median(samples)
    return Figure(name, middle, unit, len(samples), min(samples), middle, max(samples), published, source)


def share(name: str, hits: int, of: int) -> Figure:
    """Return a share of ``of`` trials as a figure."""
    value = hits / of if of else float("nan")
    return Figure(name, value, "1", of, value, value, value)


def append(file: str, figures: Sequence[Figure]) -> Path:
    """Append figures to a file of the results folder and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / file
    where = {
        "commit": _commit(),
        "torch": torch.__version__,
        "device": f"{platform.machine()} cpu, {torch.get_num_threads()} thread",
        "date": datetime.date.today().isoformat(),
    }
    with path.open("a", encoding="utf-8") as out:
        for figure in figures:
            out.write(json.dumps(_line(figure) | where) + "\n")
    return path


def _line(figure: Figure) -> dict[str, float | int | str | None]:
    """Return a figure under the names of the file format."""
    paper = {"published": figure.published, "source": figure.source} if figure.source else {}
    return {
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "n": figure.n,
        "min": figure.low,
        "median": figure.median,
        "max": figure.high,
        **paper,
    }


def _commit() -> str:
    """Return the commit that is checked out, with a + when the sources differ from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", "src", "benchmarks/*.py") else "")


def _git(*arguments: str) -> str:
    """Return what git prints, or "unknown" outside a checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
