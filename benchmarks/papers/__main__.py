"""Measure published results again and put the papers' figures beside ours.

Run from the repository's root: ``python -m benchmarks.papers [PAPER …]``, for example ``glorot-2010``. One
thread; every paper takes minutes at most.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time

import torch
from rich.console import Console
from rich.table import Table

import benchmarks.papers
from benchmarks._results import Figure, append

PAPERS = sorted(
    module.name.replace("_", "-")
    for module in pkgutil.iter_modules(benchmarks.papers.__path__)
    if not module.name.startswith("_")
)


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("papers", nargs="*", choices=[[], *PAPERS], metavar="PAPER", help=", ".join(PAPERS))
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 160)
    for paper in arguments.papers or PAPERS:
        begun = time.perf_counter()
        figures = importlib.import_module(f"benchmarks.papers.{paper.replace('-', '_')}").measure()
        console.print(table(paper, figures, time.perf_counter() - begun))
        if not arguments.dry:
            console.print(f"appended to {append('papers.jsonl', figures)}")


def table(paper: str, figures: list[Figure], seconds: float) -> Table:
    """Return a paper's figures as rows."""
    rows = Table("figure", "published", "here", "min", "max", "n", "source", title=f"{paper}, {seconds:.0f} s")
    for figure in figures:
        published = "" if figure.published is None else f"{figure.published:.4g}"
        cells = (f"{value:.4g}" for value in (figure.value, figure.low, figure.high))
        rows.add_row(figure.name, published, *cells, str(figure.n), figure.source)
    return rows


if __name__ == "__main__":
    main()
