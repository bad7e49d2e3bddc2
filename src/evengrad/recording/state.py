"""Everything of a trace but its series, as JSON files: written again and again while the run goes on.

``run.json`` holds what is trained and on what (schema ``evengrad.run/1``), ``events.jsonl`` one event per line,
``trace/ledgers.jsonl`` one ledger or time profile per line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from evengrad.core.codec import Json
from evengrad.core.event import Event
from evengrad.core.ledger import Ledger, TimeProfile
from evengrad.core.schema import RUN_SCHEMA, dumps, from_plain, loads, state_of, to_plain, trace_from_plain
from evengrad.core.trace import Trace
from evengrad.errors import RunFolderError, SchemaError
from evengrad.recording.files import read_whole, write_whole

logger = logging.getLogger(__name__)

T = TypeVar("T")

RUN_FILE: Final = "run.json"
EVENTS_FILE: Final = "events.jsonl"
LEDGERS_FILE: Final = "trace/ledgers.jsonl"

# Limits for files made by strangers, far above what a run writes; own choice.
RUN_LIMIT: Final = 2**27  # bytes
LINES_LIMIT: Final = 2**29  # bytes


class StateWriter:
    """Writes the state of a trace into a run folder; skips the work for what has not changed since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sections: dict[str, _Texts] = {}
        self._written: dict[str, str] = {}

    def write(self, trace: Trace) -> None:
        """Write all files, each in one moment; ``run.json`` last."""
        ledgers = self._texts("ledger", trace.ledgers, lambda item: {"ledger": to_plain(item)})
        profiles = self._texts("profile", trace.time_profiles, lambda item: {"time_profile": to_plain(item)})
        self._write(LEDGERS_FILE, [*ledgers, *profiles])
        self._write(EVENTS_FILE, self._texts("event", trace.events, to_plain))
        self._write(RUN_FILE, self._run_lines(trace))

    def _run_lines(self, trace: Trace) -> list[str]:
        """Return the lines of ``run.json``: one per field, and one per item of a field that is a list."""
        lines = ["{", f'  "schema": {dumps(RUN_SCHEMA)},']
        for name, value in state_of(trace).items():
            if isinstance(value, tuple):
                items = [f"    {text}," for text in self._texts(name, value, to_plain)]
                if items:
                    lines += [f"  {dumps(name)}: [", *items[:-1], items[-1][:-1], "  ],"]
                else:
                    lines.append(f"  {dumps(name)}: [],")
            else:
                lines.append(f"  {dumps(name)}: {dumps(to_plain(value))},")
        return [*lines[:-1], lines[-1].removesuffix(","), "}"]

    def _texts(self, section: str, items: Sequence[object], plain: Callable[[object], Json]) -> list[str]:
        return self._sections.setdefault(section, _Texts(plain)).of(items)

    def _write(self, name: str, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if self._written.get(name) != text:
            write_whole(self._path / name, text.encode("ascii"))
            self._written[name] = text


class _Texts:
    """The JSON texts of a growing list of immutable items, each made once."""

    def __init__(self, plain: Callable[[object], Json]) -> None:
        self._plain = plain
        self._items: Sequence[object] = ()
        self._texts: list[str] = []

    def of(self, items: Sequence[object]) -> list[str]:
        # An item that moved (older ones were thinned out) is found by identity, one that was built anew by equality.
        known = {id(item): text for item, text in zip(self._items, self._texts, strict=True)}
        texts: list[str] = []
        for index, item in enumerate(items):
            text = known.get(id(item))
            if text is None and index < len(self._items) and self._items[index] == item:
                text = self._texts[index]
            texts.append(dumps(self._plain(item)) if text is None else text)
        self._items, self._texts = tuple(items), texts
        return texts


def read_state(path: Path) -> tuple[Trace, bool]:
    """Return a trace without series, and whether all of its state could be read.

    Damaged lines of events and ledgers are skipped with a warning.

    Raises:
        FileNotFoundError: there is no ``run.json``.
        RunFolderError: ``run.json`` cannot be read.
        SchemaError: ``run.json`` has another schema, or is damaged.
    """
    trace = trace_from_plain(loads(read_whole(path / RUN_FILE, RUN_LIMIT), RUN_FILE), RUN_FILE)
    events, all_events = _read_lines(path / EVENTS_FILE, lambda plain: from_plain(Event, plain))
    entries, all_ledgers = _read_lines(path / LEDGERS_FILE, _ledger_or_profile)
    ledgers = tuple(entry for entry in entries if isinstance(entry, Ledger))
    profiles = tuple(entry for entry in entries if isinstance(entry, TimeProfile))
    return replace(trace, events=events, ledgers=ledgers, time_profiles=profiles), all_events and all_ledgers


def _ledger_or_profile(plain: object) -> Ledger | TimeProfile:
    if isinstance(plain, dict) and "ledger" in plain:
        return from_plain(Ledger, plain["ledger"])
    if isinstance(plain, dict) and "time_profile" in plain:
        return from_plain(TimeProfile, plain["time_profile"])
    raise SchemaError("value: should be a ledger or a time profile")


def _read_lines(path: Path, build: Callable[[object], T]) -> tuple[tuple[T, ...], bool]:
    """Return what the lines of a file hold, and whether every line could be read."""
    try:
        lines = read_whole(path, LINES_LIMIT).split(b"\n")
    except (RunFolderError, FileNotFoundError) as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        logger.warning("left out what %s holds: %s", path.name, what)
        return (), False
    values: list[T] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values.append(build(loads(line, "value")))
        except SchemaError as error:
            problems.append(f"line {number}, {error}")
    if problems:
        logger.warning("%s: skipped %d of %d lines (%s)", path.name, len(problems), len(lines), problems[0])
    return tuple(values), not problems
