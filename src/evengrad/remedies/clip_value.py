"""Clipping by value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._clip import grows_in_time
from evengrad.remedies._facts import optimizer, optimizer_lines, rounded
from evengrad.remedies._structure import GROWTH_IN_TIME, SPIKES
from evengrad.rules._words import number


@dataclass(frozen=True)
class ClipValue(AbstractRemedy):
    """Cut every entry of the gradient to a largest size, taken from the run's own healthy steps.

    What it changes:
        The gradient between backward and step: each entry is clamped to [-c, c]. Its direction changes.

    Why it helps:
        A spike that sits in a few entries (one embedding row, one output unit) is cut where it is, while all other
        entries keep their size; a bound on the norm would shrink them too.

    When not to:
        Where the whole gradient is too large it turns the step into one of signs. Against explosion across depth and
        against NaN, as clipping by norm. Prefer that unless few entries are at fault.

    Settings:
        margin: multiple of the typical entry (rms), "1". Own choice: 10; of normal entries one in 1e23 lies beyond.
        hopeless: norm, in loss/W, above which the run's own gradients are no measure. As for clipping by norm.
        fallback: bound where they are not, in loss/W. Own choice: 0.1.

    Source:
        Mikolov 2012 (thesis, section 3.3); Pascanu et al., ICML 2013, section 3.2 (norm preferred).
    """

    margin: float = 10.0
    hopeless: float = 1e3
    fallback: float = 0.1

    act: ClassVar[Act] = Act.CLIP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = GROWTH_IN_TIME | SPIKES
    place: ClassVar[int] = 22
    messages: ClassVar[Mapping[str, str]] = {
        "why": "cuts entries of the gradient beyond {bound}, {margin} times their typical size, and leaves all others",
        "why-plain": "cuts entries of the gradient beyond {bound}, and leaves all others",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one bound on entries."""
        typical = self._entry(trace)
        hopeless = grows_in_time(finding, trace, self.hopeless) or not typical > 0
        threshold = self.fallback if hopeless else rounded(self.margin * typical)
        return (self.change(lines=optimizer_lines(optimizer(trace, finding)), kind="value", threshold=threshold),)

    @staticmethod
    def _entry(trace: Trace) -> float:
        """Return the typical size of a gradient's entry: the largest tensor's median rms; nan when none is known."""
        sizes = [trace.get(Statistic.GRAD_RMS, name).median() for name in trace.subjects(Statistic.GRAD_RMS)]
        known = [size for size in sizes if math.isfinite(size) and size > 0]
        return float(np.max(known)) if known else math.nan

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        threshold = number(change.number("threshold"))
        if change.number("threshold") == self.fallback:
            return self.say("why-plain", bound=threshold)
        return self.say("why", bound=threshold, margin=number(self.margin))


REMEDY = ClipValue()
