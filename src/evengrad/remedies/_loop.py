"""What the repairs of the loop share: which fault of the order of calls a finding names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults

MISORDER = faults("loop-order", CauseKind.LOOP_ORDER, CauseKind.DISCONNECTED)

_FAULTS = (
    EventKind.ZERO_GRAD_MISSING, EventKind.ZERO_GRAD_BEFORE_STEP, EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP, EventKind.CLIP_BEFORE_UNSCALE, EventKind.DOUBLE_STEP, EventKind.STEP_WITHOUT_BACKWARD,
    EventKind.FOREIGN_PARAMETERS,
)  # fmt: skip


def loop_event(trace: Trace, finding: Finding | None) -> Event | None:
    """Return the event that a finding on the loop speaks of: the one it names, else its step's, else the first."""
    events = trace.events_of(*_FAULTS)
    if finding is None:
        return next(iter(events), None)
    named = [event for event in events if finding.message_key.endswith(f".{event.kind.value}")]
    at_step = [event for event in events if event.step == finding.first_step]
    return next(iter((*named, *at_step, *events)), None)


@dataclass(frozen=True)
class AbstractLoopRepair(AbstractRemedy):
    """A repair of the order of calls.

    Attributes:
        kinds: The mistakes that it puts right.
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    kinds: ClassVar[tuple[EventKind, ...]]

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the repair of the order, where this is what is wrong with it."""
        event = loop_event(trace, finding)
        if event is None or event.kind not in self.kinds:
            return ()
        lines = (event.source,) if event.source is not None else ()
        return (self.change(lines=lines, fault=event.kind.value),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")
