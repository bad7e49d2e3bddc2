"""Clipping between backward and step."""

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

_KINDS = (EventKind.CLIP_BEFORE_BACKWARD, EventKind.CLIP_AFTER_STEP)


@dataclass(frozen=True)
class ClipBeforeStep(AbstractRemedy):
    """Clip between backward and step, where the gradient is.

    What it changes:
        The call that clips is moved to behind ``backward`` and in front of ``step``.

    Why it helps:
        Before backward it bounds the last step's gradient or none at all, after the step it changes nothing. Where it
        stood, the run was never clipped.

    When not to:
        Where the clip was without effect and the run is sound, it may be removed as well.

    Source:
        PyTorch documentation, ``clip_grad_norm_``; own measurement on a recurrence that diverged under such a clip.
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "acts only between `backward()` and `step()`",
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


REMEDY = ClipBeforeStep()
