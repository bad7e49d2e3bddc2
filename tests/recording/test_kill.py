"""A run killed at any moment leaves a folder that can be read up to the last flush."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evengrad.core.statistic import Statistic
from evengrad.recording.folder import read_trace
from evengrad.recording.recorder import INTERVAL
from tests.recording.fake_monitor import STEPS_PER_DRAIN, rows_until
from tests.recording.samples import assert_holds

ROOT = Path(__file__).parents[2]  # where the tests package is found
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="writers are forked")


def kill_writers(base: Path, kills: int, longest: float, interval: float) -> list[tuple[Path, list[str]]]:
    """Return each killed writer's run folder, if it had made one, and what it had acknowledged."""
    command = [sys.executable, "-m", "tests.recording.killed_writer"]
    subprocess.run([*command, str(base), str(kills), str(longest), str(interval)], check=True, cwd=ROOT)
    found = []
    for number in range(kills):
        lines = base / str(number) / "acknowledged"
        acknowledged = lines.read_text().splitlines() if lines.exists() else []
        folders = [path for path in (base / str(number)).glob(".evengrad/*") if not path.name.startswith(".")]
        assert len(folders) <= 1
        assert folders or not acknowledged
        found += [(folder, acknowledged) for folder in folders]
    return found


def assert_readable_up_to_the_last_flush(folder: Path, acknowledged: list[str]) -> None:
    trace = read_trace(folder)
    numbers = [int(line) for line in acknowledged if line != "closed"]
    steps = len(trace.get(Statistic.LOSS))
    # The last drain acknowledges the flush before it; its own rows may be on disk or not.
    assert max(numbers, default=0) <= steps <= max(numbers, default=-STEPS_PER_DRAIN) + STEPS_PER_DRAIN
    assert_holds(trace, rows_until(steps))
    assert trace.steps >= max(numbers, default=0)
    assert "closed" not in acknowledged or trace.completed
    if numbers and max(numbers) > 0:
        assert [module.name for module in trace.modules] == [f"net.{i}" for i in range(5)]
        assert len(trace.ledgers) >= len(range(0, max(numbers), 10))
        assert trace.events


@pytest.mark.parametrize(
    ("kills", "longest", "interval"),
    [pytest.param(8, 0.12, 0.002, id="a few"), pytest.param(20, 0.8, 0.001, id="many", marks=pytest.mark.slow)],
)
def test_a_run_killed_at_any_moment_leaves_a_readable_folder(
    tmp_path: Path, kills: int, longest: float, interval: float, caplog: pytest.LogCaptureFixture
) -> None:
    found = kill_writers(tmp_path, kills, longest, interval)
    for folder, acknowledged in found:
        assert_readable_up_to_the_last_flush(folder, acknowledged)
    assert len(found) > kills / 2
    assert sum(len(acknowledged) > 1 for _, acknowledged in found) > kills / 4  # not all before the first flush
    assert caplog.records == []  # a kill damages nothing


@pytest.mark.slow
def test_what_a_kill_loses_is_at_most_five_seconds_old(tmp_path: Path) -> None:
    ((folder, acknowledged),) = kill_writers(tmp_path, 1, 7.0, INTERVAL)
    assert_readable_up_to_the_last_flush(folder, acknowledged)
    assert len(acknowledged) == 1  # killed at 6.3 s: one flush, at 4 s
    assert len(read_trace(folder).get(Statistic.LOSS)) == STEPS_PER_DRAIN
