"""The run folder: ``.evengrad/<time>-<script>/``, readable at any moment, also after the process was killed.

::

    run.json                what is trained, on what, at what cost; schema evengrad.run/1
    events.jsonl            one event per line
    trace/part-*.parquet    rows (step, statistic, subject, value); see `evengrad.recording.parts`
    trace/ledgers.jsonl     one ledger or time profile per line
    report.json report.html the reports, once there are any
    bundles/                recorded steps
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from evengrad.core.trace import Trace
from evengrad.errors import RunFolderError
from evengrad.recording.files import reason, write_whole
from evengrad.recording.parts import PartWriter, Row
from evengrad.recording.series import read_series
from evengrad.recording.state import RUN_FILE, StateWriter, read_state

RUNS: Final = ".evengrad"
TRACE: Final = "trace"
BUNDLES: Final = "bundles"
_NAME_BYTES: Final = 80  # of the script's name in the folder's; file systems allow 255 in all
_TRIES: Final = 1000  # runs of one script within one second


class RunFolder:
    """A run folder that this process writes. Made by `create`; read by `read_trace`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts = PartWriter(path / TRACE)
        self._state = StateWriter(path)

    @classmethod
    def create(cls, script: str, base: Path | None = None) -> RunFolder:
        """Make a new folder ``.evengrad/<YYYYmmdd-HHMMSS>-<script>/`` that holds an empty trace.

        Args:
            script: The script's path, or the module's dotted name.
            base: Where ``.evengrad`` is, or is made; the working directory when None.

        Returns:
            The folder, which this process alone writes.

        Raises:
            RunFolderError: the folder cannot be made.
        """
        runs = (base if base is not None else Path.cwd()) / RUNS
        try:
            runs.mkdir(parents=True, exist_ok=True)
            ignore = runs / ".gitignore"
            if not ignore.exists():
                write_whole(ignore, b"*\n")  # runs are not part of the user's project
            return cls(_make(runs, script))
        except OSError as error:
            raise RunFolderError(f"cannot make a run folder in {runs}: {reason(error)}") from error

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows as one new part of the trace; nothing when there are none.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable.
        """
        if rows:
            self._parts.append(rows)

    def write_state(self, trace: Trace) -> None:
        """Write everything of a trace but its series, over what was written before.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable.
        """
        self._state.write(trace)

    def compact(self) -> None:
        """Merge small parts, so that their number stays bounded; readers see every row once, whenever they look.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable.
        """
        self._parts.compact()

    def write_text(self, name: str, text: str) -> Path:
        """Write a report over an earlier one.

        Args:
            name: ``report.json`` or ``report.html``.
            text: Its content.

        Returns:
            The file's path.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable.
        """
        path = self.path / name
        write_whole(path, text.encode("utf-8", errors="backslashreplace"))
        return path


def read_trace(path: Path) -> Trace:
    """Return the trace that a run folder holds, up to the last flush of the run that wrote it.

    What is damaged is left out, with a logged warning, and the trace is then not ``completed``; statistics of a newer
    version are left out with a warning. Nothing in the folder is executed or unpickled.

    Args:
        path: The run's folder.

    Raises:
        RunFolderError: there is no run folder, or it cannot be read.
        SchemaError: its ``run.json`` has another schema, or is damaged.
    """
    _check_folder(path)
    try:
        trace, all_state = read_state(path)
    except FileNotFoundError:
        raise RunFolderError(f"{path} has no {RUN_FILE}, so it is not a run folder{_advice(path)}") from None
    read = read_series(path / TRACE)
    # A run killed between two writes has rows that its run.json does not count yet.
    seen = max((int(series.steps[-1]) for series in read.series.values() if len(series)), default=0)
    completed = trace.completed and all_state and read.whole
    steps = trace.steps if trace.completed else max(trace.steps, seen)
    return replace(trace, series=read.series, steps=steps, completed=completed)


def _make(runs: Path, script: str) -> Path:
    """Make the folder under a hidden name and give it its own when it can be read: never half made under that."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{_stem(script)}"  # local time, for people
    hidden = runs / f".{name}-{os.getpid()}"
    try:
        for folder in (TRACE, BUNDLES):
            (hidden / folder).mkdir(parents=True)
        StateWriter(hidden).write(Trace(script=script, completed=False))
        for number in range(1, _TRIES):
            path = runs / (name if number == 1 else f"{name}-{number}")
            if not path.exists():
                try:
                    return hidden.rename(path)
                except OSError:
                    if not path.exists():
                        raise
                    continue  # another process has taken the name
        raise RunFolderError(f"cannot make a run folder in {runs}: {name} and {_TRIES - 2} more names are taken")
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _stem(script: str) -> str:
    """Return a script's name as part of a file name: ``train`` for ``src/train.py``, ``pkg.train`` for a module."""
    name = Path(script).name
    plain = re.sub(r"[^\w.-]+", "-", name.removesuffix(".py")).strip("-.")
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore") or "run"


def _check_folder(path: Path) -> None:
    try:
        if path.is_dir():
            return
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise RunFolderError(f"cannot read the run folder {str(path)!r}: {reason(error)}") from error
    if exists:
        raise RunFolderError(f"{path} is a file, expected a run folder; give the folder that holds {RUN_FILE}")
    raise RunFolderError(f"there is no run folder {path}; runs are kept in {RUNS}/ where evengrad was started")


def _advice(path: Path) -> str:
    """Return a hint at the newest run when somebody gives the folder of all runs, or the one above it."""
    for runs in (path, path / RUNS):
        try:
            newest = max((file.parent.name for file in runs.glob(f"[!.]*/{RUN_FILE}")), default="")
        except OSError:
            continue
        if newest:
            return f"; the newest run in it is {runs / newest}"
    return ""
