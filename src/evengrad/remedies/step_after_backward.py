"""The step behind backward."""

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

_KINDS = (EventKind.STEP_WITHOUT_BACKWARD,)


@dataclass(frozen=True)
class StepAfterBackward(AbstractRemedy):
    """Call backward before the step that uses its gradients.

    What it changes:
        A step that comes before backward is moved behind it.

    Why it helps:
        A step without fresh gradients repeats the last one, or does nothing.

    When not to:
        Optimizers that call a closure (LBFGS) compute the gradients inside the step.

    Source:
        PyTorch documentation, ``torch.optim``, "taking an optimization step".
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a step needs the gradients of its own batch",
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


REMEDY = StepAfterBackward()
