"""Less weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import group_number, key_of, optimizer, optimizer_lines, power_of_ten
from evengrad.rules._rate import highest_rate
from evengrad.rules._words import number, percent


@dataclass(frozen=True)
class LowerWeightDecay(AbstractRemedy):
    """Lower weight decay to where it takes a small part of the weights in a whole run.

    What it changes:
        The optimizer's weight_decay.

    Why it helps:
        Decay multiplies every weight by 1 - lr * c at each step, whatever the gradient says. Where lr * c is a tenth,
        half of every layer is gone after seven steps, and with it the signal and the gradient.

    When not to:
        Where weights shrink because the gradient shrinks them, or were small from the start.

    Settings:
        taken: share of a weight, "1", that decay may take over the run seen. Own choice: a tenth.
        most: largest coefficient, "1". Loshchilov and Hutter 2019; torch's default for AdamW: .01.

    Source:
        Krogh and Hertz, NIPS 1992; Loshchilov and Hutter, ICLR 2019. Own measurement on a run with a decay of 1.
    """

    taken: float = 0.1
    most: float = 1e-2

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("vanishing-gradient constant-output", CauseKind.WEIGHT_SCALE_SMALL)
    place: ClassVar[int] = 3
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a decay of {before} takes {part} of every weight per step; {coefficient} takes a tenth or less in the "
        "whole run",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the coefficient that the length of the run allows, where decay is what took the weights."""
        info = optimizer(trace, finding)
        before, rate = group_number(info, "weight_decay"), highest_rate(trace)
        if (finding is not None and key_of(finding) != "cause-decay") or not (before > 0 and rate > 0):
            return ()
        wanted = min(self.most, power_of_ten(self.taken / (rate * max(1, trace.steps))))
        return (self.change(lines=optimizer_lines(info), weight_decay=wanted),) if wanted < before else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with what decay takes per step."""
        before = group_number(optimizer(trace, finding), "weight_decay")
        part = percent(before * highest_rate(trace))
        return self.say("why", before=number(before), part=part, coefficient=number(change.number("weight_decay")))


REMEDY = LowerWeightDecay()
