"""What the repairs of the loop share: which fault of the order of calls a finding names."""

from __future__ import annotations

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import CauseKind, Finding
from evengrad.core.trace import Trace
from evengrad.remedies._base import faults

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
