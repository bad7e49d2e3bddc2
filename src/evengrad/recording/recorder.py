"""Write what a monitor measures to a run folder, from a thread of its own, while the run goes on."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from evengrad.core.trace import Trace
from evengrad.recording.files import reason
from evengrad.recording.folder import RunFolder
from evengrad.recording.parts import Row

logger = logging.getLogger(__name__)

INTERVAL: Final = 4.0  # seconds; a kill loses at most this and the time of one flush. Own choice: 5 s is promised
PATIENCE: Final = 2.0  # seconds that a fork waits for a flush under way
LAST_PATIENCE: Final = 30.0  # seconds that the end of the run waits for one


class Recordable(Protocol):
    """What a recorder needs of a monitor; both are called from the recorder's thread, too."""

    def drain(self) -> Sequence[Row]:
        """Return the rows measured since the last call."""

    def trace(self) -> Trace:
        """Return everything measured so far."""


class Recorder:
    """Flushes a monitor to a run folder every few seconds, from its creation until `close`.

    Whatever goes wrong (a full disk, a folder removed under it) switches the recorder off and is said once; the run
    goes on. No recorder thread exists while the process forks, and in a child the recorder does nothing.

    Args:
        monitor: Where rows and traces come from.
        folder: Where they go.
        interval: Seconds between flushes; positive.

    Attributes:
        failure: Why the recorder switched itself off; None while all is well.
    """

    def __init__(self, monitor: Recordable, folder: RunFolder, *, interval: float = INTERVAL) -> None:
        if not interval > 0:
            raise ValueError(f"interval should be positive, is {interval}")
        self.failure: str | None = None
        self._monitor = monitor
        self._folder = folder
        self._interval = interval
        self._pid = os.getpid()
        self._seconds = 0.0
        self._closed = False
        self._flushing = threading.Lock()  # a thread that a fork did not wait for may still be at it
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._due = time.monotonic() + interval
        _register_fork_hooks()
        _LIVE.add(self)
        # A thread inside Arrow while the interpreter is torn down would abort the process.
        atexit.register(self._at_exit)
        self._resume()

    @property
    def seconds(self) -> float:
        """CPU seconds that recording has taken so far."""
        return self._seconds

    def close(self, trace: Trace) -> None:
        """Stop the thread, write the rows not yet written and the run's final state. Does nothing the second time.

        Args:
            trace: The final trace.
        """
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        _LIVE.discard(self)
        atexit.unregister(self._at_exit)
        self._pause(LAST_PATIENCE)
        self._flush(trace)

    def _resume(self) -> None:
        """Start the thread, unless one runs or there is nothing more to do."""
        running = self._thread is not None and self._thread.is_alive() and not self._stop.is_set()
        if running or self._closed or self.failure is not None:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(self._stop,), name="evengrad-recorder", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads to be had
            self._thread = None
            self._switch_off(str(error))

    def _pause(self, patience: float) -> bool:
        """End the thread; return whether it has ended within ``patience`` seconds."""
        self._stop.set()
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(patience)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def _work(self, stop: threading.Event) -> None:
        while self.failure is None:
            if stop.wait(max(0.0, self._due - time.monotonic())):
                return
            self._due = time.monotonic() + self._interval
            self._flush(None)

    def _flush(self, final: Trace | None) -> None:
        """Write what is new: all of it, or switch off."""
        if self.failure is not None:
            return
        start = time.thread_time()
        if not self._flushing.acquire(timeout=LAST_PATIENCE):
            self._switch_off(f"a flush took longer than {LAST_PATIENCE:g} s")
            return
        try:
            self._write(final)
        except Exception as error:  # no fault of ours may end the user's run
            logger.debug("recording failed", exc_info=True)
            self._switch_off(f"{type(error).__name__}: {reason(error)}")
        finally:
            self._seconds += time.thread_time() - start
            self._flushing.release()

    def _write(self, final: Trace | None) -> None:
        rows = self._monitor.drain()
        trace = replace(self._monitor.trace(), completed=False) if final is None else final
        self._folder.append(rows)
        self._folder.write_state(trace)
        self._folder.compact()

    def _switch_off(self, failure: str) -> None:
        if self.failure is None:
            self.failure = failure
            logger.warning("recording to %s stopped (%s); the run goes on", self._folder.path, failure)

    def _at_exit(self) -> None:
        """Stop in an orderly way when nobody closed the recorder; what is on disk says that the run was cut off."""
        if not self._closed and os.getpid() == self._pid:
            self._closed = True
            self._pause(LAST_PATIENCE)
            self._flush(None)

    def _abandon(self) -> None:
        """Forget everything, in a forked child."""
        self._closed = True
        self._thread = None
        atexit.unregister(self._at_exit)


# Fork copies one thread only: a lock that our thread holds at that moment (the monitor's, an import's) would be held
# for ever in the child. So no recorder thread runs while the process forks.
_LIVE: Final[set[Recorder]] = set()


def _before_fork() -> None:
    for recorder in list(_LIVE):
        if not recorder._pause(PATIENCE):
            logger.debug("forked while a flush was under way")


def _after_fork_in_parent() -> None:
    for recorder in list(_LIVE):
        recorder._resume()


def _after_fork_in_child() -> None:
    for recorder in list(_LIVE):
        recorder._abandon()
    _LIVE.clear()


@functools.cache
def _register_fork_hooks() -> None:
    if sys.platform != "win32":
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )
