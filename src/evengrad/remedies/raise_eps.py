"""A larger epsilon in the optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import group_number, optimizer, optimizer_lines
from evengrad.rules._words import number


@dataclass(frozen=True)
class RaiseEps(AbstractRemedy):
    """Raise the optimizer's eps to what the weights' number format can hold.

    What it changes:
        The eps that Adam and RMSprop add to the root of the second moment.

    Why it helps:
        1e-8 is 0 in float16, and so is the square of a small gradient: the step is 0/0. An eps of 1e-3 keeps the
        denominator away from 0.

    When not to:
        In float32, where 1e-8 is what it says, a larger eps makes Adam behave as SGD for small gradients.

    Settings:
        wanted: eps, "W", for float16 weights. Own choice: 1e-3, the root of the smallest second moment that float16
            tells from 0 to about one digit (6e-8 is its smallest number, and 1 - beta2 takes a further factor of
            1000).
        more: second candidate, "W". Own choice: 1e-4.

    Source:
        PyTorch issue 8860 (Adam in half precision); theory page, number formats.
    """

    wanted: float = 1e-3
    more: float = 1e-4

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("non-finite", CauseKind.OPTIMIZER_EPSILON)
    place: ClassVar[int] = 5
    messages: ClassVar[Mapping[str, str]] = {
        "why": "eps {before} is 0 in float16, and the step divides by it; {eps} is not",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return an eps that float16 holds, where its weights are kept in it and the one in use is smaller."""
        info = optimizer(trace, finding)
        before = group_number(info, "eps")
        if not before < self.more or not any(p.dtype == "float16" and p.optimizer >= 0 for p in trace.parameters):
            return ()
        lines = optimizer_lines(info)
        return (self.change(lines=lines, eps=self.wanted), self.change(lines=lines, eps=self.more))

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        before = group_number(optimizer(trace), "eps")
        shown = number(before) if math.isfinite(before) else "?"
        return self.say("why", before=shown, eps=number(change.number("eps")))


REMEDY = RaiseEps()
