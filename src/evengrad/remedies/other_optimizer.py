"""Another optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.rules._words import number


@dataclass(frozen=True)
class OtherOptimizer(AbstractRemedy):
    """Let Adam choose the length of each step, where plain SGD cannot.

    What it changes:
        The class of the optimizer, and the learning rate to Adam's usual one.

    Why it helps:
        Adam divides by the gradient's size: data or losses of an odd unit, and layers whose gradients are a hundred
        times smaller than others', get steps of the same length.

    When not to:
        Across real depth: of a gradient that has lost fifteen decades there is no signal left to scale up. Where SGD
        was tuned and one number of it is off, that number is the smaller change.

    Settings:
        rate: Adam's learning rate, "1". Kingma and Ba 2015: 1e-3.

    Source:
        Kingma and Ba, ICLR 2015. Own measurement: it repaired 20 He layers whose SGD rate was 2 (0.06) and data a
        hundred times too large (0.00), and none of the nets with vanishing gradients.
    """

    rate: float = 1e-3

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = (
        faults("update-too-large non-finite", CauseKind.LEARNING_RATE_HIGH)
        | faults("update-too-small", CauseKind.LEARNING_RATE_LOW)
        | faults("input-scale", CauseKind.INPUT_SCALE)
    )
    place: ClassVar[int] = 34
    messages: ClassVar[Mapping[str, str]] = {
        "why": "Adam at {rate} takes steps of one length, whatever the gradient's unit",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the change, for an optimizer whose steps scale with the gradient."""
        info = optimizer(trace, finding)
        if info is None or info.family != "linear" or "lbfgs" in info.kind.lower():
            return ()
        return (self.change(lines=optimizer_lines(info), optimizer="Adam", lr=self.rate),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why", rate=number(change.number("lr")))


REMEDY = OtherOptimizer()
