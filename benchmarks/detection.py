"""Recall, causes and false alarms over all cases, their healthy twins, and five seeds; beside them three other tools.

Run from the repository's root: ``python -m benchmarks.detection``. A sick run counts as found when a warning or error
of the case's rule, or of one that names the same fault, points at a right place and begins in the right steps. For the
other tools the right symptom is enough, wherever it is said to be. A healthy run with any warning or error is a false
alarm; so is one of a twin, the sick program with its one fault taken out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks._results import Figure, append, share
from benchmarks._score import Outcome, outcome
from benchmarks.baselines import autotrainer, deepdiagnosis, sagemaker
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue

BASELINES = (autotrainer.BASELINE, deepdiagnosis.BASELINE, sagemaker.BASELINE, sagemaker.WITH_LOSS)
TOOLS = ("evengrad", *(baseline.name for baseline in BASELINES))


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=None, help="ids of cases; all when left out")
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    cases = {name: module.CASE for name, module in catalogue("evengrad.cases").items()}
    chosen = {name: cases[name] for name in arguments.cases or cases}
    outcomes = measure(chosen, range(arguments.seeds))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(sick_table(outcomes, cases))
    console.print(wrong_table(outcomes))
    console.print(totals_table(outcomes))
    if not arguments.dry:
        console.print(f"appended to {append('detection.jsonl', figures(outcomes))}")


def measure(cases: dict[str, Case], seeds: Sequence[int]) -> list[Outcome]:
    """Run every case and every twin on every seed."""
    jobs = [(name, case, False) for name, case in cases.items()]
    jobs += [(name, case, True) for name, case in cases.items() if case.twin is not None]
    every = [(name, case, twin, seed) for name, case, twin in jobs for seed in seeds]
    console = Console(stderr=True)
    return [
        outcome(name, case, seed, twin=twin, baselines=BASELINES)
        for name, case, twin, seed in track(every, "runs", console=console)
    ]


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return the totals as figures."""
    sick = [o for o in outcomes if o.sick]
    plain = [o for o in outcomes if not o.sick and not o.twin]
    twins = [o for o in outcomes if o.twin]
    lines = []
    for tool in TOOLS:
        said = [o.verdicts[tool] for o in sick]
        lines.append(share(f"detection/recall/{tool}", sum(v.found for v in said), len(said)))
        lines.append(share(f"detection/any alarm on sick/{tool}", sum(v.alarms > 0 for v in said), len(said)))
        lines.append(share(f"detection/false alarms/{tool}", _alarmed(plain, tool), len(plain)))
        lines.append(share(f"detection/false alarms on twins/{tool}", _alarmed(twins, tool), len(twins)))
    own = [o.verdicts["evengrad"] for o in sick]
    found = [v for v in own if v.found]
    lines.append(share("detection/own rule/evengrad", sum(v.own_rule for v in own), len(own)))
    lines.append(share("detection/cause right when found/evengrad", sum(v.cause for v in found), len(found)))
    lines.append(share("detection/extra findings per sick run/evengrad", sum(v.extra for v in own), len(own)))
    return lines


def _alarmed(outcomes: Sequence[Outcome], tool: str) -> int:
    """Count the runs on which a tool raised an alarm."""
    return sum(o.verdicts[tool].alarms > 0 for o in outcomes)


def sick_table(outcomes: Sequence[Outcome], cases: dict[str, Case]) -> Table:
    """Return one row per sick case: found, by its own rule, cause right, extra findings; found by each other tool."""
    table = Table("case", "rule", "found", "own rule", "cause", "extra", *TOOLS[1:], title="sick cases")
    for name in dict.fromkeys(o.name for o in outcomes if o.sick):
        runs = [o.verdicts for o in outcomes if o.name == name and o.sick]
        own = [v["evengrad"] for v in runs]
        counts = [sum(v.found for v in own), sum(v.own_rule for v in own), sum(v.cause for v in own)]
        style = "" if min(counts[0], counts[2]) == len(own) else "red" if counts[0] < len(own) else "yellow"
        others = [str(sum(v[tool].found for v in runs)) for tool in TOOLS[1:]]
        cells = [f"{counts[0]}/{len(own)}", *map(str, counts[1:]), str(sum(v.extra for v in own)), *others]
        table.add_row(name, cases[name].fault, *cells, style=style)
    return table


def wrong_table(outcomes: Sequence[Outcome]) -> Table:
    """Return what evengrad said of every run that it judged wrongly."""
    table = Table("case", "seed", "kind", "loss", "said", title="wrongly judged by evengrad")
    for o in outcomes:
        verdict = o.verdicts["evengrad"]
        wrong = not (verdict.found and verdict.cause) if o.sick else verdict.alarms > 0
        if wrong:
            kind = "sick" if o.sick else "twin" if o.twin else "healthy"
            table.add_row(o.name, str(o.seed), kind, f"{o.loss:.3g}", "; ".join(verdict.said) or "nothing")
    return table


def totals_table(outcomes: Sequence[Outcome]) -> Table:
    """Return the totals, one column per tool."""
    table = Table("", *TOOLS, title="totals (share of runs)")
    by_name = {figure.name: figure for figure in figures(outcomes)}
    for row in ("recall", "any alarm on sick", "false alarms", "false alarms on twins"):
        cells = [by_name[f"detection/{row}/{tool}"] for tool in TOOLS]
        table.add_row(f"{row} (n={cells[0].n})", *(f"{cell.value:.3f}" for cell in cells))
    for row in ("own rule", "cause right when found", "extra findings per sick run"):
        table.add_row(row, f"{by_name[f'detection/{row}/evengrad'].value:.3f}", *["" for _ in TOOLS[1:]])
    return table


if __name__ == "__main__":
    main()
