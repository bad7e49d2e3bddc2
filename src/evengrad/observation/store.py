"""Where measurements wait until somebody asks: bounded series, merged events, bounded ledgers."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from evengrad.core.event import Event, EventKind
from evengrad.core.info import SourceLine
from evengrad.core.ledger import Ledger, TimeProfile
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series

T = TypeVar("T")
Row = tuple[int, Statistic, str, float]

_MOST_POINTS = 1_000_000  # of all series together, 16 bytes each
_LONGEST, _SHORTEST = 4096, 160  # points kept of one series; beyond, every second of the older ones is dropped
_MOST_LEDGERS, _FIRST_LEDGERS, _LAST_LEDGERS = 24, 6, 10


class _Column:
    """One growing series."""

    __slots__ = ("steps", "values")

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")

    def add(self, step: int, value: float, longest: int) -> None:
        if self.steps and self.steps[-1] == step:
            self.values[-1] = value
            return
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > longest:
            first, last = longest // 8, longest // 4
            self.steps = self.steps[:first] + self.steps[first:-last:2] + self.steps[-last:]
            self.values = self.values[:first] + self.values[first:-last:2] + self.values[-last:]

    def series(self) -> Series:
        return Series(np.array(self.steps, np.int64), np.array(self.values, np.float64))


class Store:
    """Collects measurements; safe to read from another thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._columns: dict[tuple[Statistic, str], _Column] = {}
        self._rows: list[Row] | None = None  # kept only once somebody drains
        self._events: dict[tuple[EventKind, str], Event] = {}
        self._ledgers: list[Ledger] = []
        self._profiles: list[TimeProfile] = []

    def add(self, step: int, statistic: Statistic, subject: str, value: float) -> None:
        """Record one measured number; a repeated step replaces its value."""
        with self._lock:
            column = self._columns.get((statistic, subject))
            if column is None:
                column = self._columns[statistic, subject] = _Column()
            longest = min(_LONGEST, max(_SHORTEST, _MOST_POINTS // len(self._columns)))
            column.add(step, value, longest)
            if self._rows is not None:
                self._rows.append((step, statistic, subject, value))

    def note(
        self,
        kind: EventKind,
        step: int,
        *,
        key: str = "",
        details: Mapping[str, str] | None = None,
        source: SourceLine | None = None,
    ) -> None:
        """Record an event; repeated ones of the same kind and key are counted."""
        with self._lock:
            seen = self._events.get((kind, key))
            if seen is None:
                self._events[kind, key] = Event(kind, step, 1, step, dict(details or {}), source)
            else:
                self._events[kind, key] = Event(kind, seen.step, seen.count + 1, step, seen.details, seen.source)

    def add_ledger(self, ledger: Ledger) -> None:
        """Record the ledger of a probe step; of many, the first, the last and a thinned middle are kept."""
        with self._lock:
            self._ledgers = _bounded([*self._ledgers, ledger])

    def add_profiles(self, profiles: list[TimeProfile]) -> None:
        """Record time profiles; bounded like the ledgers."""
        with self._lock:
            self._profiles = _bounded([*self._profiles, *profiles])

    def drain(self) -> list[Row]:
        """Return the rows recorded since the last call; the first call returns all that is kept."""
        with self._lock:
            if self._rows is None:
                rows = [
                    (step, statistic, subject, value)
                    for (statistic, subject), column in self._columns.items()
                    for step, value in zip(column.steps, column.values, strict=True)
                ]
            else:
                rows = self._rows
            self._rows = []
            return rows

    def series(self) -> dict[tuple[Statistic, str], Series]:
        """Return every series as it stands."""
        with self._lock:
            return {key: column.series() for key, column in self._columns.items()}

    def events(self) -> tuple[Event, ...]:
        """Return the events so far, by step."""
        with self._lock:
            return tuple(sorted(self._events.values(), key=lambda event: event.step))

    def ledgers(self) -> tuple[Ledger, ...]:
        """Return the kept ledgers, by step."""
        with self._lock:
            return tuple(self._ledgers)

    def profiles(self) -> tuple[TimeProfile, ...]:
        """Return the kept time profiles, by step."""
        with self._lock:
            return tuple(self._profiles)


def _bounded(items: list[T]) -> list[T]:
    """Thin the middle of a list that has grown too long."""
    if len(items) <= _MOST_LEDGERS:
        return items
    return items[:_FIRST_LEDGERS] + items[_FIRST_LEDGERS:-_LAST_LEDGERS:2] + items[-_LAST_LEDGERS:]
