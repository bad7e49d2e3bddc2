"""A watched run: the monitor, what listens to it, and the end of it. A fault of ours is one line on stderr, no more."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evengrad.cli.live import EarlyWarning
from evengrad.cli.options import Options
from evengrad.cli.terminal import describe, flush_stdout, say
from evengrad.core.event import Event, EventKind
from evengrad.observation.watch import watch_process

if TYPE_CHECKING:
    from evengrad.core.trace import Trace
    from evengrad.observation.monitor import Monitor
    from evengrad.recording.folder import RunFolder
    from evengrad.recording.parts import Row
    from evengrad.recording.recorder import Recorder

logger = logging.getLogger(__name__)


class Recording:
    """The run folder, made when there is first something to put in it.

    Not earlier: what it is written with needs numpy, and a script may still set the variables that numpy and its thread
    pools read when they are loaded.
    """

    def __init__(self, base: Path, program: str) -> None:
        self._base = base
        self._program = program
        self._process = os.getpid()
        self._folder: RunFolder | None = None
        self._recorder: Recorder | None = None
        self._tried = False

    def __call__(self, monitor: Monitor) -> None:
        """Start to record, at the monitor's first news."""
        if self._tried or os.getpid() != self._process:
            return
        folder = self._make()
        if folder is None:
            return
        try:
            from evengrad.recording.recorder import Recorder

            self._recorder = Recorder(_Named(monitor, self._program), folder)
        except Exception as error:
            say(f"the run is not recorded while it goes on: {describe(error)}")

    def finish(self, trace: Trace) -> RunFolder | None:
        """Write what is left; return the folder, or None when there is none that takes anything."""
        folder = self._folder if self._tried else self._make()
        if folder is None:
            return None
        try:
            if self._recorder is None:
                folder.write_state(trace)
                return folder
            self._recorder.close(trace)
        except Exception as error:
            say(f"the run is not recorded: {describe(error)}")
            return None
        return folder if self._recorder.failure is None else None  # it has said so: one fault, one line

    def _make(self) -> RunFolder | None:
        self._tried = True
        try:
            from evengrad.recording.folder import RunFolder

            self._folder = RunFolder.create(self._program, self._base)
        except Exception as error:
            say(f"the run is not recorded: {describe(error)}")
        return self._folder


@dataclass(frozen=True)
class _Named:
    """A monitor as the recorder sees it: its traces carry the program's name."""

    monitor: Monitor
    program: str

    def drain(self) -> Sequence[Row]:
        return self.monitor.drain()

    def trace(self) -> Trace:
        return replace(self.monitor.trace(), script=self.program)


class Session:
    """A watched run, from before the program's first line. Only the process that made it reports."""

    def __init__(self, options: Options, program: str) -> None:
        self._options = options
        self._process = os.getpid()
        self._program = program
        self._path = _own_path()
        self._recording = Recording(options.base, program)
        self._monitor = watch_process(budget=options.budget, max_steps=options.steps)
        self._monitor.subscribe(self._recording)
        self._monitor.subscribe(EarlyWarning(options.language))

    def finish(self, end: BaseException | None) -> bool:
        """Stop watching, diagnose and report.

        Args:
            end: What ended the program, or None.

        Returns:
            Whether findings reach ``--fail-on``.
        """
        if os.getpid() != self._process:  # a forked child that came back out of the script
            return False
        try:
            flush_stdout()
            with _import_path(self._path):
                return self._finish(end)
        except KeyboardInterrupt:
            say("the report was interrupted")
        except Exception as error:
            logger.debug("no report", exc_info=True)
            say(f"no report: {describe(error)}")
        return False

    def _finish(self, end: BaseException | None) -> bool:
        from evengrad.cli.conclusion import conclude

        self._note(end)
        trace = replace(self._monitor.close(), script=self._program)
        return conclude(trace, self._recording.finish(trace), self._options, end)

    def _note(self, end: BaseException | None) -> None:
        """Put into the trace that the program was cut short."""
        if end is None or isinstance(end, SystemExit):
            return
        kind = EventKind.INTERRUPTED if isinstance(end, KeyboardInterrupt) else EventKind.SCRIPT_ERROR
        step = max(0, self._monitor.steps - 1)
        self._monitor.note(Event(kind, step, last_step=step, details={"error": describe(end)}))


def _own_path() -> list[str]:
    """Return the module path without the folder that the interpreter or the program puts first."""
    return sys.path[0 if getattr(sys.flags, "safe_path", False) else 1 :]


@contextmanager
def _import_path(path: list[str]) -> Iterator[None]:
    """Import from ``path`` for a while: a ``calendar.py`` beside the script is not what our libraries mean by it."""
    before = sys.path
    sys.path = list(path)
    try:
        yield
    finally:
        sys.path = before
