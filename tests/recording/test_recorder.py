"""The recorder: flushes, ends, forks, and never stands in the way of the run."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.recording.folder import RunFolder, read_trace
from evengrad.recording.parts import Row
from evengrad.recording.recorder import INTERVAL, Recorder
from tests.core.random_values import assert_same
from tests.recording.fake_monitor import FakeMonitor, rows_until, trace_at
from tests.recording.samples import assert_holds

NEVER = 3600.0  # an interval that no test sees the end of
ROOT = Path(__file__).parents[2]  # where the tests package is found
posix = pytest.mark.skipif(sys.platform == "win32", reason="forks and limits are POSIX ones")


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def test_rows_and_state_reach_the_disk_while_the_run_goes_on(tmp_path: Path) -> None:
    monitor, folder = FakeMonitor(), RunFolder.create("train.py", tmp_path)
    recorder = Recorder(monitor, folder, interval=0.002)
    assert monitor.wait_for(3)
    trace = read_trace(folder.path)
    assert trace.steps >= 6
    assert len(trace.get(Statistic.LOSS)) >= 6
    assert not trace.completed
    recorder.close(trace_at(monitor.steps))


def test_closing_writes_what_is_left_and_the_final_state(tmp_path: Path) -> None:
    monitor, folder = FakeMonitor(), RunFolder.create("train.py", tmp_path)
    recorder = Recorder(monitor, folder, interval=NEVER)
    recorder.close(trace_at(3))
    trace = read_trace(folder.path)
    assert_holds(trace, rows_until(3))
    assert_same(dataclasses.replace(trace, series={}), trace_at(3))
    assert recorder.failure is None


def test_closing_keeps_what_the_trace_says_of_its_end(tmp_path: Path) -> None:
    folder = RunFolder.create("train.py", tmp_path)
    Recorder(FakeMonitor(), folder, interval=NEVER).close(trace_at(3, completed=False))
    assert not read_trace(folder.path).completed


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    monitor, folder = FakeMonitor(), RunFolder.create("train.py", tmp_path)
    recorder = Recorder(monitor, folder, interval=NEVER)
    recorder.close(trace_at(3))
    recorder.close(trace_at(9))
    assert monitor.drains == 1
    assert read_trace(folder.path).steps == 3


def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    recorder = Recorder(FakeMonitor(), RunFolder.create("train.py", tmp_path), interval=0.001)
    assert threading.active_count() == before + 1
    recorder.close(trace_at(3))
    assert threading.active_count() == before


def test_a_flush_comes_at_least_every_four_seconds_unless_told_otherwise() -> None:
    assert INTERVAL <= 4


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_an_interval_must_be_positive(tmp_path: Path, interval: float) -> None:
    with pytest.raises(ValueError, match="interval should be positive, is"):
        Recorder(FakeMonitor(), RunFolder.create("train.py", tmp_path), interval=interval)


def test_the_number_of_parts_stays_bounded(tmp_path: Path) -> None:
    monitor, folder = FakeMonitor(), RunFolder.create("train.py", tmp_path)
    recorder = Recorder(monitor, folder, interval=1e-6)
    assert monitor.wait_for(70)
    recorder.close(trace_at(monitor.steps))
    assert len(list((folder.path / "trace").glob("part-*"))) <= 15 * 2
    assert_holds(read_trace(folder.path), rows_until(monitor.steps))


class Waiting(FakeMonitor):
    """Waits in every drain, which costs time but no work."""

    def drain(self) -> list[Row]:
        threading.Event().wait(0.2)
        return super().drain()


class Working(FakeMonitor):
    """Computes in every drain."""

    def drain(self) -> list[Row]:
        sum(range(2_000_000))
        return super().drain()


def test_seconds_count_work_and_not_waiting(tmp_path: Path) -> None:
    seconds = {}
    for kind in (Waiting, Working):
        recorder = Recorder(kind(), RunFolder.create("train.py", tmp_path), interval=NEVER)
        assert recorder.seconds == 0
        recorder.close(trace_at(3))
        seconds[kind] = recorder.seconds
    assert 0 < seconds[Waiting] < 0.15
    assert seconds[Working] > 0.01


# What goes wrong.


class Failing(FakeMonitor):
    """Raises where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def drain(self) -> list[Row]:
        rows = super().drain()
        if self.where == "drain":
            raise RuntimeError("drain broke\nin two lines")
        return [(0, Statistic.LOSS, "", "low")] if self.where == "rows" else rows  # type: ignore[list-item]

    def trace(self) -> Trace:
        if self.where == "trace":
            raise MemoryError
        return super().trace()


@pytest.mark.parametrize(
    ("where", "failure"),
    [
        ("drain", "RuntimeError: drain broke"),
        ("trace", "MemoryError: MemoryError"),
        ("rows", "ValueError: could not convert string to float"),
    ],
)
def test_a_fault_switches_the_recorder_off_and_is_said_once(
    tmp_path: Path, where: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    monitor, folder = Failing(where), RunFolder.create("train.py", tmp_path)
    recorder = Recorder(monitor, folder, interval=0.001)
    thread = recorder._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    recorder.close(trace_at(3))
    assert recorder.failure is not None
    assert recorder.failure.startswith(failure)
    assert monitor.drains == 1
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        f"recording to {folder.path} stopped ({recorder.failure}); the run goes on"
    ]
    assert not read_trace(folder.path).completed


def test_a_folder_removed_during_the_run_switches_the_recorder_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder.create("train.py", tmp_path)
    recorder = Recorder(FakeMonitor(), folder, interval=NEVER)
    shutil.rmtree(folder.path)
    recorder.close(trace_at(3))
    assert recorder.failure == "FileNotFoundError: No such file or directory"
    assert len(caplog.records) == 1
    assert not folder.path.exists()


@posix
@pytest.mark.parametrize("limit", [2000, 5000])
def test_a_full_disk_leaves_the_run_alone(tmp_path: Path, limit: int) -> None:
    # No file may grow beyond the limit: a write then fails as it does on a full disk.
    code = """
        import resource, sys, time
        from pathlib import Path
        from evengrad.recording.folder import RunFolder
        from evengrad.recording.recorder import Recorder
        from tests.recording.fake_monitor import FakeMonitor, trace_at
        monitor = FakeMonitor()
        folder = RunFolder.create("train.py", Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
        recorder = Recorder(monitor, folder, interval=0.001)
        while recorder.failure is None:
            time.sleep(0.01)
        recorder.close(trace_at(monitor.steps))
        print("Epoch 1, Loss: 0.5")
        print(folder.path, recorder.failure)
        sys.exit(3)
    """
    done = run(code, tmp_path, limit)
    epoch, told = done.stdout.splitlines()
    folder, _, failure = told.partition(" ")
    assert (done.returncode, epoch, failure) == (3, "Epoch 1, Loss: 0.5", "OSError: File too large")
    assert done.stderr == f"recording to {folder} stopped ({failure}); the run goes on\n"
    assert not read_trace(Path(folder)).completed
    assert [path for path in Path(folder).rglob("*") if path.name.startswith(".")] == []


# Forks.

FORKS = """
    import os, sys, threading
    from pathlib import Path
    from evengrad.recording.folder import RunFolder
    from evengrad.recording.recorder import Recorder
    from tests.recording.fake_monitor import FakeMonitor, trace_at

    class Locking(FakeMonitor):
        lock = threading.Lock()
        def drain(self):
            with self.lock:
                threading.Event().wait(0.01)
                return super().drain()

    monitor = Locking()
    folder = RunFolder.create("train.py", Path(sys.argv[1]))
    recorder = Recorder(monitor, folder, interval=0.0001)
    codes = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            # A lock that the recorder's thread holds would be held here for ever.
            if not monitor.lock.acquire(timeout=2):
                os._exit(9)
            monitor.lock.release()
            before = monitor.drains
            recorder.close(trace_at(99))
            if monitor.drains != before or threading.active_count() != 1:
                os._exit(8)
            sys.exit(7)  # by way of the exit handlers
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    forked = monitor.drains
    assert monitor.wait_for(forked + 2)  # the thread is back
    recorder.close(trace_at(monitor.steps))
    print(codes == [7] * 5, monitor.pids == {os.getpid()}, recorder.failure, folder.path)
"""


@posix
@pytest.mark.slow
def test_in_a_forked_child_the_recorder_does_nothing_and_in_the_parent_it_goes_on(tmp_path: Path) -> None:
    done = run(FORKS, tmp_path)
    assert done.stderr == ""
    *facts, path = done.stdout.split()
    assert facts == ["True", "True", "None"]
    trace = read_trace(Path(path))
    assert trace.completed
    assert_holds(trace, rows_until(len(trace.get(Statistic.LOSS))))


@posix
def test_forks_do_not_put_flushes_off(tmp_path: Path) -> None:
    code = """
        import os, sys, time
        from pathlib import Path
        from evengrad.recording.folder import RunFolder
        from evengrad.recording.recorder import Recorder
        from tests.recording.fake_monitor import FakeMonitor, trace_at
        monitor = FakeMonitor()
        recorder = Recorder(monitor, RunFolder.create("train.py", Path(sys.argv[1])), interval=0.1)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        drains = monitor.drains
        recorder.close(trace_at(monitor.steps))
        print(drains)
    """
    assert int(run(code, tmp_path).stdout) >= 2


# Start and end of the process.


def test_arrow_is_imported_with_the_first_rows_and_torch_never(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from evengrad.core.statistic import Statistic
        from evengrad.core.trace import Trace
        from evengrad.recording.folder import RunFolder
        from evengrad.recording.recorder import Recorder
        class Monitor:
            rows = []
            def drain(self): return self.rows
            def trace(self): return Trace()
        def imported(): return [name for name in ("pyarrow", "torch") if name in sys.modules]
        for rows in ([], [(0, Statistic.LOSS, "", 1.0)]):
            monitor = Monitor()
            monitor.rows = rows
            recorder = Recorder(monitor, RunFolder.create("train.py", Path(sys.argv[1])))
            recorder.close(Trace())
            print(imported(), recorder.failure)
    """
    assert run(code, tmp_path).stdout == "[] None\n['pyarrow'] None\n"


@pytest.mark.parametrize("end", ["pass", "sys.exit(5)", "raise ValueError('theirs')"])
def test_a_recorder_that_nobody_closed_ends_with_the_process(tmp_path: Path, end: str) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from evengrad.recording.folder import RunFolder
        from evengrad.recording.recorder import Recorder
        from tests.recording.fake_monitor import FakeMonitor
        monitor = FakeMonitor()
        folder = RunFolder.create("train.py", Path(sys.argv[1]))
        recorder = Recorder(monitor, folder, interval=0.0005)
        monitor.wait_for(3)
        print(folder.path)
        {end}
    """
    done = run(code, tmp_path)
    assert done.returncode == {"pass": 0, "sys.exit(5)": 5}.get(end, 1)
    assert "ValueError: theirs" in done.stderr if "raise" in end else done.stderr == ""
    trace = read_trace(Path(done.stdout.strip()))
    assert not trace.completed
    assert_holds(trace, rows_until(len(trace.get(Statistic.LOSS))))
    assert trace.steps >= 9
