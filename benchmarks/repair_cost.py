"""What ``evengrad fix`` costs on scripts that train for some seconds, and what it makes of them.

Run from the repository's root: ``python -m benchmarks.repair_cost``. The cost is the whole command's wall time over
that of the plain script; the two run one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._repair_cases import fresh
from benchmarks._results import append, ratio, share
from benchmarks.repair import timed
from evengrad.trials.process import finals

_SCRIPTS = Path(__file__).parent / "repair_scripts"


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/evengrad-repair-cost"), help="where scripts are run")
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    parser.add_argument("--scripts", nargs="*", default=None, help="names of scripts; all when left out")
    arguments = parser.parse_args()
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)

    table = Table("script", "ending", "change", "before", "after", "plain", "fix", "cost")
    costs, proven, healthy = [], [], []
    for script in sorted(_SCRIPTS.glob("*.py")):
        if arguments.scripts and script.stem not in arguments.scripts:
            continue
        folder = fresh(arguments.folder / script.stem)
        shutil.copy(script, folder)
        before, plain, told, seconds = _measure(script.name, folder)
        fix = told["fix"]
        after = timed([fix["patched_script"]], folder)[0] if fix["patched_script"] else ""
        costs.append(seconds / plain)
        (healthy if script.stem.startswith("healthy") else proven).append(fix["ending"])
        change = " + ".join(fix["remedies"])
        row = (_shown(before), _shown(after), f"{plain:.1f} s", f"{seconds:.1f} s", f"{costs[-1]:.2f}")
        table.add_row(script.stem, fix["ending"], change, *row)
    Console(width=160).print(table)
    if not arguments.dry:
        figures = [
            ratio("repair.scripts.cost", costs),
            share("repair.scripts.proven", proven.count("proven"), len(proven)),
            share("repair.scripts.healthy", healthy.count("healthy"), len(healthy)),
        ]
        Console().print(f"appended to {append('repair.jsonl', figures)}")


def _measure(name: str, folder: Path) -> tuple[str, float, dict[str, Any], float]:
    """Return the plain script's output and time, and the report on its fix and the time of that."""
    before, plain = timed([name], folder)
    report = folder / "fix.json"
    seconds = timed(["-m", "evengrad", "fix", "--quiet", "--json", str(report), name], folder)[1]
    told: dict[str, Any] = json.loads(report.read_text())
    return before, plain, told, seconds


def _shown(output: str) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in finals(output))


if __name__ == "__main__":
    main()
