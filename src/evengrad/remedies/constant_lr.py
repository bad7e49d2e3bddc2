"""A learning rate that stays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.rules._words import number


@dataclass(frozen=True)
class ConstantLr(AbstractRemedy):
    """Keep the learning rate that the run began with, without its schedule.

    What it changes:
        The schedule no longer takes the rate away.

    Why it helps:
        A schedule that is meant per epoch and stepped per batch divides the rate by a million within twenty steps;
        from then on no weight changes.

    When not to:
        Where the decay comes at the end of the run, it is what makes the last steps small.

    Settings:
        gone: last rate over the highest, "1", below which the schedule counts. Own choice: .001, as for the finding.

    Source:
        Own measurement on a run whose rate fell by 0.7 per batch; PyTorch documentation, "how to adjust learning
        rate".
    """

    gone: float = 1e-3

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("update-too-small", CauseKind.LEARNING_RATE_LOW)
    place: ClassVar[int] = 4
    messages: ClassVar[Mapping[str, str]] = {
        "why": "the schedule takes the rate from {peak} to {last}: it is stepped too often, or decays too fast",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the change, where a schedule took the rate away."""
        peak, last = self._rates(trace)
        if not last < self.gone * peak:
            return ()
        return (self.change(lines=optimizer_lines(optimizer(trace, finding)), schedule="constant"),)

    @staticmethod
    def _rates(trace: Trace) -> tuple[float, float]:
        """Return the highest and the last learning rate of the group that lost most; nan where none is known."""
        seen = [trace.get(Statistic.LEARNING_RATE, group).finite for group in trace.subjects(Statistic.LEARNING_RATE)]
        pairs = [(float(rates.values.max()), rates.last()) for rates in seen if len(rates)]
        return min(pairs, key=lambda pair: pair[1] / pair[0] if pair[0] > 0 else 1.0, default=(math.nan, math.nan))

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with both rates."""
        peak, last = self._rates(trace)
        return self.say("why", peak=number(peak), last=number(last))


REMEDY = ConstantLr()
