"""Start writers that record to folders of their own, and kill each at a moment drawn by chance. Run as a script.

The writers are forked from one process that has imported everything, so that a kill costs milliseconds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet  # noqa: F401

from evengrad.recording.folder import RunFolder
from evengrad.recording.recorder import Recorder
from tests.recording.fake_monitor import FakeMonitor, trace_at


def write(base: Path, interval: float, flushes: int | None) -> None:
    """Record until killed, or until closed after a number of flushes."""
    acknowledge = os.open(base / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    monitor = FakeMonitor(acknowledge)
    recorder = Recorder(monitor, RunFolder.create("train.py", base), interval=interval)
    if flushes is None:
        threading.Event().wait()
    while monitor.drains < (flushes or 0):
        time.sleep(interval)
    recorder.close(trace_at(monitor.steps + 3))
    os.write(acknowledge, b"closed\n")


def main(base: Path, kills: int, longest: float, interval: float) -> None:
    """Kill ``kills`` writers, each after at most ``longest`` seconds; every fourth of them closes early on."""
    rng = random.Random(20)
    for number in range(kills):
        folder = base / str(number)
        folder.mkdir()
        pid = os.fork()
        if pid == 0:
            try:
                write(folder, interval, 3 if number % 4 == 3 else None)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
