"""A warm-up of the learning rate."""

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


@dataclass(frozen=True)
class Warmup(AbstractRemedy):
    """Raise the learning rate linearly over the first steps.

    What it changes:
        The learning rate of the first steps; afterwards it is what it was.

    Why it helps:
        Adam's second moment rests on a handful of gradients at first, and post-norm attention sharpens before it has
        learned where to look; small first steps keep both from throwing the weights where no gradient leads back.

    When not to:
        Against vanishing gradients. Where the rate is too high for good, the trouble comes when the ramp ends: alone
        it did not help a post-norm net at 0.03, a rate of 0.002 did.

    Settings:
        share: of the run seen, "1", that the ramp takes at most. Own choice: a fifth (a tenth is usual in long runs).
        memory: steps of the ramp in units of 1 / (1 - beta2), "1". Ma and Yarats 2021: 2.
        shortest: steps, "1". Own choice: 10.

    Source:
        Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020 (post-norm needs it, pre-norm does not); Ma and Yarats,
        AAAI 2021, equation 7.
    """

    share: float = 0.2
    memory: float = 2.0
    shortest: int = 10

    act: ClassVar[Act] = Act.WARM_UP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("update-too-large constant-output", CauseKind.WARMUP_MISSING)
    eases: ClassVar = faults("update-too-large gradient-spike dead-units", CauseKind.LEARNING_RATE_HIGH)
    place: ClassVar[int] = 8
    messages: ClassVar[Mapping[str, str]] = {
        "why": "the first {steps} steps, when gradients are least reliable, stay small",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one ramp; none for a plain optimizer without attention, or a run too short for one."""
        info = optimizer(trace, finding)
        if info is None or trace.steps <= self.shortest:
            return ()
        beta = group_number(info, "beta2")
        memory = self.memory / (1 - beta) if 0 < beta < 1 else math.inf
        steps = max(self.shortest, round(min(memory, self.share * trace.steps)))
        return (self.change(lines=optimizer_lines(info), steps=steps),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why", steps=str(round(change.number("steps"))))


REMEDY = Warmup()
