"""A higher learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import key_of, optimizer, optimizer_lines, rounded
from evengrad.remedies._rates import factors, known_rate, peak_ratio
from evengrad.rules._words import number


@dataclass(frozen=True)
class HigherLr(AbstractRemedy):
    """Raise the learning rate to where steps change weights by a thousandth to a hundredth of their size.

    What it changes:
        The learning rate of every parameter group, by one factor.

    Why it helps:
        The gradient is sound and reaches all layers, yet all steps together do not move the weights. In
        half-precision weights, updates that are larger than half a unit in the last place are no longer rounded away.

    When not to:
        Where only some layers stand still: the gradient is lost on its way, and the others would leave their course.
        Where a schedule took the rate away: the schedule is to be changed.

    Settings:
        target: relative size of the largest update, "1", aimed at. Theory page, criteria: nets that trained lie at
            .033 and below.
        modest: a second candidate's target, "1". Own choice: a tenth of it; Karpathy's guide value is 1e-3.
        ladder: factors where no update was measured, "1". Own choice: decades.
        apart: factors closer than this are one candidate, "1". Own choice: 3.

    Source:
        Theory page, criteria (update/weight per step: trained nets 1.3e-6 to .033).
    """

    target: float = 0.03
    modest: float = 3e-3
    ladder: tuple[float, ...] = (10.0, 100.0)
    apart: float = 3.0

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("update-too-small", CauseKind.LEARNING_RATE_LOW)
    eases: ClassVar = faults("precision-loss", CauseKind.PRECISION) | faults(
        "clipping-saturated", CauseKind.LEARNING_RATE_LOW
    )
    place: ClassVar[int] = 12
    messages: ClassVar[Mapping[str, str]] = {
        "why": "no step changes a weight tensor by more than {ratio} of its size; at {rate} it is about {target}",
        "why-plain": "the updates are far smaller than the weights: {rate} in place of {before}",
        "why-unknown": "the updates are far smaller than the weights",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the rates that the measured updates ask for."""
        if finding is not None and (finding.message_key.endswith(".decayed") or self._other_fault(finding)):
            return ()
        rate, lines = known_rate(trace, finding), optimizer_lines(optimizer(trace, finding))
        if not math.isfinite(rate):
            return ()  # unknown, or zero: no factor raises it
        ratio = peak_ratio(trace)
        measured = self.target / ratio if 0 < ratio < self.target else math.nan
        wanted = factors(
            measured, (self.modest / ratio, *self.ladder) if measured > self.ladder[0] else self.ladder, self.apart
        )
        return tuple(self.change(lines=lines, lr=rounded(rate * factor)) for factor in wanted if factor > 1)

    @staticmethod
    def _other_fault(finding: Finding) -> bool:
        """Return whether a finding on precision is about gradients that flush to zero: no rate brings them back."""
        return finding.rule == "precision-loss" and key_of(finding) != "cause-rounding"

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the size of the largest update where it was measured."""
        ratio, before, rate = peak_ratio(trace), known_rate(trace, None), change.number("lr")
        if not (math.isfinite(before) and math.isfinite(rate)):
            return self.say("why-unknown")
        if 0 < ratio < self.target:
            return self.say(
                "why", ratio=number(ratio), rate=number(rate), target=number(rounded(ratio * rate / before))
            )
        return self.say("why-plain", rate=number(rate), before=number(before))


REMEDY = HigherLr()
