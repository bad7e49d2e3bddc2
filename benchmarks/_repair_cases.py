"""Cases as scripts that a person might have: a case's own text, beside the helpers that it imports."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import evengrad.cases
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue
from evengrad.core.finding import CauseKind
from evengrad.core.plan import Risk

_CASES = Path(evengrad.cases.__path__[0])
_MAIN = """

if __name__ == "__main__":
    import sys

    print(f"FINAL loss={CASE.run(int(sys.argv[1]))}")
"""

# The least that is known to repair a cause: what the healthy twins of the cases do, and what the literature says of it.
SMALLEST = {
    CauseKind.LOOP_ORDER: Risk.LOOP,
    CauseKind.DISCONNECTED: Risk.LOOP,
    CauseKind.LEARNING_RATE_HIGH: Risk.OPTIMIZER,
    CauseKind.LEARNING_RATE_LOW: Risk.OPTIMIZER,
    CauseKind.OPTIMIZER_EPSILON: Risk.OPTIMIZER,
    CauseKind.WARMUP_MISSING: Risk.OPTIMIZER,
    CauseKind.INPUT_SCALE: Risk.DATA,
    CauseKind.TARGET_SCALE: Risk.DATA,
    CauseKind.DATA: Risk.DATA,
    CauseKind.LOSS_NUMERICS: Risk.DATA,
    CauseKind.PRECISION: Risk.DATA,
    CauseKind.WEIGHT_SCALE_SMALL: Risk.INITIALISATION,
    CauseKind.WEIGHT_SCALE_LARGE: Risk.INITIALISATION,
    CauseKind.DEAD_UNITS: Risk.INITIALISATION,
    CauseKind.RECURRENT_JACOBIAN: Risk.INITIALISATION,
    CauseKind.ACTIVATION_DERIVATIVE: Risk.ACTIVATION,
    CauseKind.OUTPUT_ACTIVATION: Risk.ACTIVATION,
    CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM: Risk.ARCHITECTURE,
}


def known_smallest(case: Case) -> Risk:
    """Return the smallest change that is known to repair a case: the largest that one of its causes calls for."""
    return max((SMALLEST[cause] for cause in case.causes), key=lambda risk: risk.rank)


def cases() -> dict[str, Case]:
    """Return every case by id."""
    return {name: module.CASE for name, module in catalogue("evengrad.cases").items()}


def write_script(name: str, folder: Path) -> Path:
    """Write a case as a script that takes a seed, its helpers in a package beside it; return its path."""
    helpers = folder / "helpers"
    helpers.mkdir(parents=True, exist_ok=True)
    (helpers / "__init__.py").touch()
    for file in _CASES.glob("_*.py"):
        if file.name != "__init__.py":
            (helpers / file.name).write_text(_own(file.read_text(encoding="utf-8")), encoding="utf-8")
    script = folder / f"{name.replace('-', '_')}.py"
    script.write_text(_own((_CASES / script.name).read_text(encoding="utf-8")) + _MAIN, encoding="utf-8")
    return script


def _own(text: str) -> str:
    return re.sub(r"\bevengrad\.cases\.", "helpers.", text)


def fresh(folder: Path) -> Path:
    """Return an empty folder in place of whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
