"""How many sick programs ``evengrad fix`` repairs, with how large a change, at what cost; beside four other ways.

Run from the repository's root: ``python -m benchmarks.repair``. Every case is written out as a script of its own and
fixed on its first seed. It counts as repaired when the patched script, run plain, reaches the case's own threshold: on
that seed, and on further ones that the fix never saw. Cases that no remedy is known to repair are run, but not counted.
The cost is the wall time of the whole command over that of the plain script, one after the other on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks._repair_cases import cases, fresh, smallest, write_script
from benchmarks._repair_ways import WAYS, searched
from benchmarks._results import Figure, append, ratio, share
from evengrad.cases._base import Case
from evengrad.core.plan import Risk
from evengrad.trials.process import finals

_LONGEST = 600.0  # seconds for one fix


@dataclass(frozen=True)
class Repair:
    """One case under one way.

    Attributes:
        case: Its id.
        seed: The seed that the script was fixed on.
        ending: How the fix ended.
        remedies: What it recommends.
        risk: Of the change; "".
        repaired: On how many of the seeds the patched script reaches the threshold.
        seeds: How many were run.
        seconds: Wall time of the fix.
        plain_seconds: Wall time of the plain script.
        findings: Rules that found a fault.
        nothing: Whether the script reaches the threshold as it is.
        reseeded: Whether it does so from another seed.
    """

    case: str
    seed: int
    ending: str
    remedies: tuple[str, ...]
    risk: str
    repaired: int
    seeds: int
    seconds: float
    plain_seconds: float
    findings: tuple[str, ...]
    nothing: bool
    reseeded: bool


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=None, help="ids of cases; all when left out")
    parser.add_argument("--seeds", type=int, default=1, help="seeds that each case is fixed on")
    parser.add_argument("--unseen", type=int, default=1, help="further seeds that the patched script is run on")
    parser.add_argument("--way", choices=WAYS, default="evengrad", help="where the plans come from")
    parser.add_argument("--healthy", action="store_true", help="fix the healthy cases instead")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/evengrad-repair"), help="where scripts are written")
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # The package may be found by the folder that this is started in; children start elsewhere.
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)

    known = cases()
    chosen = arguments.cases or [name for name, case in known.items() if (case.fault is None) == arguments.healthy]
    jobs = [(name, seed) for name in chosen for seed in range(arguments.seeds)]
    repairs = []
    console = Console(width=None if sys.stdout.isatty() else 160)
    for name, seed in track(jobs, "fixes", console=Console(stderr=True)):
        repairs.append(
            repair(name, known[name], seed, arguments.unseen, folder=fresh(arguments.folder / name), way=arguments.way)
        )
        print(json.dumps(asdict(repairs[-1])), flush=True)
    console.print(table(repairs, known))
    if not arguments.dry:
        made = figures(repairs, known, healthy=arguments.healthy, way=arguments.way)
        console.print(f"appended to {append('repair.jsonl', made)}")


def repair(name: str, case: Case, seed: int, unseen: int, *, folder: Path, way: str) -> Repair:
    """Fix a case as a script on one seed, and run what comes out on that seed and further ones."""
    script = write_script(name, folder)
    output, plain = timed([script.name, str(seed)], folder)
    other = timed([script.name, str(seed + 1)], folder)[0]
    began = time.monotonic()
    told = _fixed(script, seed) if way == "evengrad" else searched(script, seed, way)
    seconds = time.monotonic() - began
    fix = told["fix"]
    seeds = [seed, *range(100, 100 + unseen)]
    reached = 0
    if fix.get("patched_script"):
        reached = sum(case.trained(_final(timed([fix["patched_script"], str(s)], folder)[0])) for s in seeds)
    risks = [Risk(change["risk"]) for change in fix.get("changes", [])]
    return Repair(
        case=name,
        seed=seed,
        ending=fix["ending"],
        remedies=tuple(fix.get("remedies", ())),
        risk=max(risks, key=lambda risk: risk.rank).value if risks else "",
        repaired=reached,
        seeds=len(seeds),
        seconds=seconds,
        plain_seconds=plain,
        nothing=case.trained(_final(output)),
        reseeded=case.trained(_final(other)),
        findings=tuple(finding["rule"] for finding in told["findings"]),
    )


def _fixed(script: Path, seed: int) -> dict[str, Any]:
    """Return the JSON report of ``evengrad fix`` on a script."""
    report = script.parent / "fix.json"
    timed(["-m", "evengrad", "fix", "--quiet", "--json", str(report), script.name, str(seed)], script.parent)
    if not report.exists():
        return {"fix": {"ending": "failed"}, "findings": []}
    told: dict[str, Any] = json.loads(report.read_text())
    return told


def timed(command: Sequence[str], folder: Path) -> tuple[str, float]:
    """Run ``python command…`` in a folder; return its stdout and its wall time."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", time.monotonic() - began
    (folder / "stderr.txt").write_text(done.stderr)
    return done.stdout, time.monotonic() - began


def _final(output: str) -> float:
    """Return the loss that a case's script printed; nan when it did not come that far."""
    return dict(finals(output)).get("loss", math.nan)


def figures(repairs: Sequence[Repair], known: dict[str, Case], *, healthy: bool, way: str) -> list[Figure]:
    """Return the figures that the project is held to, and what they are held against."""
    if healthy:
        return [share("repair.healthy.nothing-to-fix", sum(r.ending == "healthy" for r in repairs), len(repairs))]
    within = [r for r in repairs if smallest(known[r.case]) is not None]
    changed = [r for r in within if r.repaired == r.seeds]
    found = [share(f"repair.{way}.repaired", len(changed), len(within))]
    if way != "evengrad":
        return found
    small = [r for r in changed if Risk(r.risk).rank <= (smallest(known[r.case]) or 0)]
    proven = [r for r in repairs if r.ending == "proven"]
    return [
        *found,
        share("repair.evengrad.smallest", len(small), len(changed)),
        share("repair.evengrad.proven-and-repaired", sum(r.repaired == r.seeds for r in proven), len(proven)),
        ratio("repair.evengrad.cost", [r.seconds / r.plain_seconds for r in repairs]),
        share("repair.nothing.repaired", sum(r.nothing for r in within), len(within)),
        share("repair.another-seed.repaired", sum(r.reseeded for r in within), len(within)),
    ]


def table(repairs: Sequence[Repair], known: dict[str, Case]) -> Table:
    """Return what happened to each case."""
    made = Table("case", "seed", "findings", "ending", "change", "risk", "known", "repaired", "cost")
    for r in repairs:
        least = ", ".join(sorted(known[r.case].repairs))
        cost = f"{r.seconds:.1f} s / {r.plain_seconds:.1f} s"
        found = ", ".join(r.findings)
        made.add_row(
            r.case, str(r.seed), found, r.ending, " + ".join(r.remedies), r.risk, least, f"{r.repaired}/{r.seeds}", cost
        )
    return made


if __name__ == "__main__":
    main()
