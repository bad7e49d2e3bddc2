"""A lower learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import optimizer, optimizer_lines, rounded
from evengrad.remedies._rates import factors, first_ratio, known_rate
from evengrad.rules._words import number


@dataclass(frozen=True)
class LowerLr(AbstractRemedy):
    """Lower the learning rate to where the first steps change weights by a few per cent of their size.

    What it changes:
        The learning rate of every parameter group, by one factor.

    Why it helps:
        The gradient tells the way for a short distance only. Steps that change weights by a third of their size leave
        it: the loss leaps, units die, logits saturate, and the run stays where it was thrown.

    When not to:
        Against vanishing gradients (early layers move even less) and against a scale of weights or data that is wrong
        by decades: 20 layers of twice He's weights went to NaN at a hundredth of the rate as well. Where one bad
        batch did the damage, clipping costs less.

    Settings:
        target: relative size of the largest first update, "1", aimed at. Theory page, criteria: nets that trained lie
            at .033 and below in their typical tensor.
        ladder: factors by which the rate is divided where no update says more, "1". Own choice: a decade, then half
            of one.
        apart: factor between two candidates, "1"; an update that is too large by less is no measure. Own choice: 3.

    Source:
        Theory page, criteria (update/weight per step; lr * lambda_max <= 2 (1 + momentum)); Karpathy's guide value of
        1e-3.
    """

    target: float = 0.03
    ladder: tuple[float, ...] = (10.0, 30.0)
    apart: float = 3.0

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults(
        "update-too-large gradient-spike non-finite exploding-gradient vanishing-gradient dead-units constant-output "
        "saturated-activation loss-scale-collapse no-gradient",
        CauseKind.LEARNING_RATE_HIGH,
    ) | faults("update-too-large constant-output", CauseKind.WARMUP_MISSING)
    eases: ClassVar = faults("gradient-spike", None, CauseKind.RECURRENT_JACOBIAN) | faults(
        "input-scale", CauseKind.INPUT_SCALE
    )
    place: ClassVar[int] = 10
    messages: ClassVar[Mapping[str, str]] = {
        "why": "the first steps change a weight tensor by {ratio} of its size; at {rate} it is about {target}",
        "why-plain": "smaller steps stay where the gradient is a guide: {rate} in place of {before}",
        "why-unknown": "smaller steps stay where the gradient is a guide",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the rate that the measured updates ask for and a lower one; without such a measure, the ladder's."""
        ratio = first_ratio(trace, finding)
        measured = ratio / self.target if ratio > self.target * self.apart else math.nan
        ladder = (measured * self.apart,) if math.isfinite(measured) else self.ladder
        return tuple(self.divided(trace, finding, by) for by in factors(measured, ladder, self.apart))

    def divided(self, trace: Trace, finding: Finding | None, by: float) -> Change:
        """Return the rate divided by a number; as a factor where the rate is not known."""
        rate, lines = known_rate(trace, finding), optimizer_lines(optimizer(trace, finding))
        if math.isfinite(rate):
            return self.change(lines=lines, lr=rounded(rate / by))
        return self.change(lines=lines, lr_factor=rounded(1 / by))

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the size of the first steps where it was measured."""
        ratio, before = first_ratio(trace, finding), known_rate(trace, finding)
        rate = change.number("lr")
        if not (math.isfinite(before) and math.isfinite(rate)):
            return self.say("why-unknown")
        if ratio > self.target * self.apart:
            target = number(rounded(ratio * rate / before))
            return self.say("why", ratio=number(ratio), rate=number(rate), target=target)
        return self.say("why-plain", rate=number(rate), before=number(before))


REMEDY = LowerLr()
