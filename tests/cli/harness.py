"""Run one program twice, under python and under evengrad, and hold the two against each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True)
class Outcome:
    """What the rest of the world sees of a process."""

    stdout: str
    stderr: str
    code: int


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with the package importable, and more variables."""
    kept = {name: value for name, value in os.environ.items() if name not in ("EVENGRAD", "PYTHONWARNINGS", "COLUMNS")}
    return {**kept, "PYTHONPATH": str(SOURCE), **variables}


def execute(command: Sequence[str], folder: Path, stdin: str = "", timeout: float = 60, **variables: str) -> Outcome:
    """Run ``python command…`` in a folder."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(**variables),
        input=stdin.encode(),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(_steady(done.stdout.decode()), _steady(done.stderr.decode()), done.returncode)


def _steady(text: str) -> str:
    """Return an output without what differs between any two runs, or tells how deep a stack is to begin with."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)
    return re.sub(r"repeated \d+ more times", "repeated … more times", text)


def evengrad(arguments: Sequence[str], folder: Path, **variables: str) -> Outcome:
    """Run ``evengrad arguments…`` in a folder."""
    return execute(["-m", "evengrad", *arguments], folder, **variables)


def assert_same_as_python(folder: Path, command: Sequence[str], stdin: str = "", **variables: str) -> Outcome:
    """Assert that ``evengrad run`` shows the world what plain python shows; return that."""
    plain = execute(command, folder, stdin, **variables)
    watched = execute(["-m", "evengrad", "run", "--quiet", *command], folder, stdin, **variables)
    assert watched == plain
    return plain
