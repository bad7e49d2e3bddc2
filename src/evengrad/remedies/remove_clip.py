"""No clipping."""

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
class RemoveClip(AbstractRemedy):
    """Let the gradient through as it is: a bound that no norm reaches.

    What it changes:
        The bound of the clipping that is there becomes infinite.

    Why it helps:
        Where clipping acts on every step, the learning rate that was chosen is never in force.

    When not to:
        In recurrent nets, and wherever some steps have norms far above the rest: they are what clipping is for.

    Settings:
        calm: ratio of the largest norm to the median, "1", up to which nothing is lost without a bound. Theory page,
            criteria: healthy runs reach 9.7.

    Source:
        Own choice; theory page, criteria (ratio to the median).
    """

    calm: float = 10.0

    act: ClassVar[Act] = Act.CLIP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("clipping-saturated", CauseKind.LEARNING_RATE_LOW)
    place: ClassVar[int] = 6
    messages: ClassVar[Mapping[str, str]] = {
        "why": "no step of this run has a norm above {times} times the usual one: there is nothing to be clipped",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the removal; none where nothing clips, or some norms are far above the others."""
        if not trace.get(Statistic.CLIP_MAX_NORM).median() > 0 or not self._times(trace) <= self.calm:
            return ()
        return (self.change(lines=optimizer_lines(optimizer(trace, finding)), kind="norm", threshold=math.inf),)

    @staticmethod
    def _times(trace: Trace) -> float:
        """Return the largest norm over the median; nan when none was measured."""
        norms = trace.get(Statistic.GRAD_NORM).finite
        return float(norms.values.max()) / norms.median() if len(norms) and norms.median() > 0 else math.nan

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why", times=number(self._times(trace)))


REMEDY = RemoveClip()
