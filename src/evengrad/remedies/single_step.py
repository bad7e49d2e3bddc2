"""One step per backward."""

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

_KINDS = (EventKind.DOUBLE_STEP,)


@dataclass(frozen=True)
class SingleStep(AbstractRemedy):
    """Step once per backward.

    What it changes:
        The second of two steps on the same gradients is removed.

    Why it helps:
        Two steps along one gradient are one step of twice the length, and momentum doubles it again.

    When not to:
        Where several optimizers share a loop each has its own step.

    Source:
        Own measurement on a regression with Nesterov momentum that became unstable under it.
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "two steps on one gradient are one step of twice the length",
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


REMEDY = SingleStep()
