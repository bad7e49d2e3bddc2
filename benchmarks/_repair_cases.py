"""Cases as scripts that a person might have: a case's own text, beside the helpers that it imports."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import evengrad.cases
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue
from evengrad.remedies._catalogue import catalogue_remedies

_CASES = Path(evengrad.cases.__path__[0])
_MAIN = """

if __name__ == "__main__":
    import sys

    print(f"FINAL loss={CASE.run(int(sys.argv[1]))}")
"""


def smallest(case: Case) -> int | None:
    """Return the rank of the smallest change known to repair a case; None when no remedy is known to."""
    remedies = catalogue_remedies()
    ranks = [max(remedies[name].risk.rank for name in repair.split(" + ")) for repair in case.repairs]
    return min(ranks, default=None)


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
