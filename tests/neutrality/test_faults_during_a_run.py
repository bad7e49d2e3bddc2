"""Every function that works while a script trains raises in turn: the script must not notice."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.neutrality.faults import SCRIPT
from tests.neutrality.injection import MESSAGE, targets

_ROOT = Path(__file__).parents[2]
_LAYERS = ("observation", "probes", "recording")
_ALL = [str(target) for target in targets() if target.module.split(".")[1] in _LAYERS]
_QUICK = tuple(
    name
    for name in _ALL
    # What hears of the loop's events, the probes' entries, and the writer's.
    if name.startswith(
        ("observation.session:Session.be", "observation.session:Session.after", "probes.", "recording.recorder")
    )
    and name.rpartition(".")[2]
    in ("before", "after", "read", "before_backward", "after_backward", "before_step", "after_step", "_flush", "_write")
)
Outcomes = Callable[[str, int], dict[str, Any]]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Return a function that looks up how a run with a fault ended; quick ones are run together, slow ones likewise."""
    done: dict[tuple[str, int], dict[str, Any]] = {}

    def look_up(target: str, first: int) -> dict[str, Any]:
        if (target, first) not in done:
            names = [name for name in _ALL if (name in _QUICK) == (target in _QUICK)]
            result = tmp_path_factory.mktemp("faults") / "outcomes.json"
            command = [sys.executable, "-m", "tests.neutrality.faults", str(result), str(first), *names]
            subprocess.run(command, env=_environment(), check=True, timeout=3600)
            found = json.loads(result.read_text())
            done.update({(name, first): {**found[name], "plain": found["plain"]} for name in [*names, "watched"]})
        return done[target, first]

    return look_up


_CASES = [(name, first) for first in (0, 6) for name in _ALL]


@pytest.mark.parametrize(
    ("target", "first"),
    [c if c[0] in _QUICK and not c[1] else pytest.param(*c, marks=pytest.mark.slow) for c in _CASES],
    ids=[f"{name}-{'later' if first else 'at once'}" for name, first in _CASES],
)
def test_the_script_ends_as_without_evengrad(target: str, first: int, outcomes: Outcomes) -> None:
    outcome = outcomes(target, first)
    assert outcome["stdout"] == outcome["plain"]["stdout"]
    assert outcome["code"] == outcome["plain"]["code"]
    assert "Traceback" not in outcome["stderr"]
    lines = [line for line in outcome["stderr"].splitlines() if line.startswith("evengrad: ") and MESSAGE in line]
    assert len(lines) == bool(outcome["raised"]), outcome["stderr"]


def test_the_quick_faults_are_met(outcomes: Outcomes) -> None:
    assert len(_QUICK) >= 10
    assert sum(bool(outcomes(target, 0)["raised"]) for target in _QUICK) >= 0.8 * len(_QUICK)


def _files_stay_small() -> None:
    """Let writes fail beyond 600 bytes of a file: torch itself wants to write four at its start."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))


def _run(
    command: list[str], folder: Path, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
        timeout=120,
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Return the script's own run."""
    return _run([str(SCRIPT)], tmp_path_factory.mktemp("plain"))


def test_a_full_disk_costs_the_record_and_nothing_else(tmp_path: Path, plain: subprocess.CompletedProcess[str]) -> None:
    full = _run(["-m", "evengrad", "run", str(SCRIPT)], tmp_path, _files_stay_small)
    assert (full.stdout, full.returncode) == (plain.stdout, plain.returncode)
    assert "Traceback" not in full.stderr
    assert len([line for line in full.stderr.splitlines() if line.startswith("evengrad: ")]) == 1
    assert "non-finite" in full.stderr, "the report on the terminal needs no disk"


def test_a_file_where_the_folder_should_be_costs_the_record_and_nothing_else(
    tmp_path: Path, plain: subprocess.CompletedProcess[str]
) -> None:
    (tmp_path / ".evengrad").write_text("not a folder")
    watched = _run(["-m", "evengrad", "run", str(SCRIPT)], tmp_path)
    assert (watched.stdout, watched.returncode) == (plain.stdout, plain.returncode)
    assert "Traceback" not in watched.stderr
    assert len([line for line in watched.stderr.splitlines() if line.startswith("evengrad: ")]) == 1
    assert "non-finite" in watched.stderr
