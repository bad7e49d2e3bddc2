"""Run a script as a program of its own, plain and under ``evengrad run``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evengrad
from tests.neutrality.expectations import EXPECTED, SCRIPTS

_SOURCE = Path(evengrad.__file__).parents[1]
# Lines that torch stamps with time and process id: everything else is compared as it stands.
_STAMPED = re.compile(r"^([VDIWEF]\d{4} [\d:.]+ \d+ |USDT:.*?\] )", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    stdout: bytes
    stderr: str
    code: int


@dataclass(frozen=True)
class Watched(Ended):
    """A watched process that has ended, with the run folder that it left, if any."""

    folder: Path | None

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report in the run folder."""
        assert self.folder is not None, f"no run folder; stderr:\n{self.stderr}"
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    @property
    def own_lines(self) -> list[str]:
        """The lines on stderr that evengrad marks as its own."""
        return [line for line in self.stderr.splitlines() if line.startswith("evengrad: ")]


def _start(command: list[str], folder: Path, **changes: str) -> Ended:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("EVENGRAD", "PYTEST"))}
    environment |= {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(_SOURCE), str(SCRIPTS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "120",
        **changes,
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, timeout=300, check=False
    )
    return Ended(done.stdout, done.stderr.decode(errors="backslashreplace"), done.returncode)


def command_of(script: str) -> list[str]:
    """Return what follows ``python`` on the command line of a script."""
    expected = EXPECTED[script]
    start = ["-m", script] if expected.module else [str(SCRIPTS / f"{script}.py")]
    return [*start, *expected.arguments]


def run_plain(script: str, folder: Path, **changes: str) -> Ended:
    """Run a script with Python alone."""
    return _start(command_of(script), folder, **changes)


def run_watched(script: str, folder: Path, *options: str, **changes: str) -> Watched:
    """Run a script under ``evengrad run``."""
    ended = _start(["-m", "evengrad", "run", *options, *command_of(script)], folder, **changes)
    folders = sorted((folder / ".evengrad").glob("*")) if (folder / ".evengrad").is_dir() else []
    return Watched(ended.stdout, ended.stderr, ended.code, folders[-1] if folders else None)


def assert_same_streams(plain: Ended, watched: Ended) -> None:
    """Assert that stdout and exit code are the same, and that stderr is the script's own and then ours."""
    assert watched.stdout.decode() == plain.stdout.decode()
    assert watched.code == plain.code, watched.stderr
    theirs = [line for line in _unstamped(watched.stderr) if not line.startswith("evengrad: ")]
    expected = _unstamped(plain.stderr)
    assert theirs[: len(expected)] == expected


def _unstamped(text: str) -> list[str]:
    return _STAMPED.sub("", text).splitlines()
