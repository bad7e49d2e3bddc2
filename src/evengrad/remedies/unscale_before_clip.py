"""Unscale before clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._loop import MISORDER, loop_event

_KINDS = (EventKind.CLIP_BEFORE_UNSCALE,)


@dataclass(frozen=True)
class UnscaleBeforeClip(AbstractRemedy):
    """Divide the loss scale out of the gradients before they are clipped.

    What it changes:
        ``scaler.unscale_(optimizer)`` is called right before the clip.

    Why it helps:
        A GradScaler's gradients are up to 65,536 times too large. A bound that is compared with those acts on every
        step and leaves a 65,536th of what it is meant to leave.

    When not to:
        With gradients that are accumulated over several batches it belongs before the step, once, not behind every
        backward.

    Source:
        PyTorch documentation, automatic mixed precision examples, "gradient clipping"; own measurement.
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "compares max_norm with the true gradient",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the repair of the order, where this is what is wrong with it."""
        event = loop_event(trace, finding)
        if event is None or event.kind not in _KINDS:
            return ()
        lines = (event.source,) if event.source is not None else ()
        return (self.change(lines=lines, fault=event.kind.value),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = UnscaleBeforeClip()
