"""A monitor of no model: rows and traces that follow from the step alone."""

from __future__ import annotations

import os
import threading

from evengrad.core.event import Event, EventKind
from evengrad.core.info import ModuleInfo, SourceLine
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.recording.parts import Row

STEPS_PER_DRAIN = 3


def rows_until(steps: int, first: int = 0) -> list[Row]:
    """Return the rows of steps ``first`` to ``steps - 1``."""
    return [
        row
        for step in range(first, steps)
        for row in (
            (step, Statistic.LOSS, "", 1 / (step + 1)),
            (step, Statistic.GRAD_RMS, f"net.{step % 4}.weight", float("nan") if step % 7 == 0 else step / 3),
        )
    ]


def trace_at(steps: int, *, completed: bool = True) -> Trace:
    """Return the trace, without series, after a number of steps."""
    entry = LedgerEntry("net.1", "Sigmoid", EntryKind.ACTIVATION, -0.7, -0.6)
    return Trace(
        steps=steps,
        script="train.py",
        modules=tuple(ModuleInfo(f"net.{i}", "Linear", SourceLine("train.py", i + 1)) for i in range(5)),
        ledgers=tuple(Ledger(step, "net.0", "net.2", -0.7, (entry,)) for step in range(0, steps, 10)),
        events=(Event(EventKind.CLIPPED, 0, steps, steps - 1),) if steps else (),
        completed=completed,
    )


class FakeMonitor:
    """Trains a few steps whenever it is drained; says which rows of earlier drains must be on disk by now."""

    def __init__(self, acknowledge: int | None = None) -> None:
        self.steps = 0
        self.drains = 0
        self._drained = threading.Condition()
        self.pids: set[int] = set()
        self._acknowledge = acknowledge

    def drain(self) -> list[Row]:
        if self._acknowledge is not None:  # a drain begins a flush, so the flush before has ended
            os.write(self._acknowledge, f"{self.steps}\n".encode())
        self.pids.add(os.getpid())
        self.steps += STEPS_PER_DRAIN
        with self._drained:
            self.drains += 1
            self._drained.notify_all()
        return rows_until(self.steps, self.steps - STEPS_PER_DRAIN)

    def trace(self) -> Trace:
        return trace_at(self.steps)

    def wait_for(self, drains: int) -> bool:
        """Wait until it has been drained a number of times; return False when that does not come."""
        with self._drained:
            return self._drained.wait_for(lambda: self.drains >= drains, 20)
