"""The same scripts, many in one process: plain and inside ``with evengrad.watch():``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.neutrality.expectations import EXPECTED, QUICK_TOGETHER

_ROOT = Path(__file__).parents[2]
_TOGETHER = [script for script, expected in EXPECTED.items() if not expected.alone]
Outcomes = Callable[[str], dict[str, Any]]


def _run(scripts: list[str], folder: Path) -> dict[str, Any]:
    """Run the scripts in one new process; return their outcomes."""
    result = folder / "outcomes.json"
    path = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.neutrality.batch", str(result), *scripts]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, Any] = json.loads(result.read_text())
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Return a function that looks up a script's outcome; the quick ones run together, the slow ones likewise."""
    done: dict[str, Any] = {}

    def look_up(script: str) -> dict[str, Any]:
        if script not in done:
            quick = script in QUICK_TOGETHER
            done.update(
                _run([s for s in _TOGETHER if (s in QUICK_TOGETHER) == quick], tmp_path_factory.mktemp("batch"))
            )
        outcome: dict[str, Any] = done[script]
        return outcome

    return look_up


@pytest.mark.parametrize(
    "script", [s if s in QUICK_TOGETHER else pytest.param(s, marks=pytest.mark.slow) for s in _TOGETHER]
)
def test_watching_changes_nothing_and_leaves_nothing(script: str, outcomes: Outcomes) -> None:
    expected, outcome = EXPECTED[script], outcomes(script)
    assert outcome["watched"] == outcome["plain"]
    assert outcome["watched_ending"] == outcome["ending"]
    # Some warnings of torch come once per process: the watched run, which is the second, may lack them.
    assert set(outcome["watched_stderr"].splitlines()) <= set(outcome["stderr"].splitlines())
    assert outcome["leftovers"] == []
    assert outcome["disabled"] == []
    assert outcome["failed_rules"] == []
    assert outcome["verdict"] == expected.verdict, outcome["findings"]
    found = {line.split()[1].rstrip(":") for line in outcome["findings"] if not line.startswith("info")}
    assert bool(found & expected.rules) == bool(expected.rules), outcome["findings"]


def test_every_quick_script_exists() -> None:
    assert set(QUICK_TOGETHER) <= set(_TOGETHER)
