"""zero_grad at its place."""

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

_KINDS = (EventKind.ZERO_GRAD_MISSING, EventKind.ZERO_GRAD_BEFORE_STEP)


@dataclass(frozen=True)
class ZeroGrad(AbstractRemedy):
    """Clear the gradients once per step, before backward.

    What it changes:
        ``zero_grad`` is added right before ``backward``, or moved there from between backward and step.

    Why it helps:
        PyTorch adds gradients up. Without clearing, every step also takes all earlier ones, and the norm climbs
        without end; cleared between backward and step, the step takes nothing.

    When not to:
        Where gradients of several batches are meant to add up: then once per optimizer step, not per batch.

    Source:
        PyTorch documentation, ``torch.optim``; own measurement on cases with either fault.
    """

    act: ClassVar[Act] = Act.REORDER
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = MISORDER
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "zero-grad-missing": "without it each step adds the gradients of all batches before",
        "zero-grad-before-step": "cleared between backward and step, the step takes nothing",
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
        return self.say(change.word("fault"))


REMEDY = ZeroGrad()
