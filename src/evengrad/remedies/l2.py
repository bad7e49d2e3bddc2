"""An L2 penalty in the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.remedies._growth import GROWN, grown
from evengrad.rules._words import number


@dataclass(frozen=True)
class L2(AbstractRemedy):
    """Add coefficient / 2 times the sum of squared weights to the loss.

    What it changes:
        Every weight's gradient gets coefficient * W: g <- g + c W.

    Why it helps:
        Weights that grow step by step are held where the loss' gradient and the penalty balance, before a layer's
        factor has grown from 1 to what explodes.

    When not to:
        Against vanishing: smaller weights make it vanish faster. Against weights that are too large from the start:
        of eight sick nets it repaired none. Under Adam, which divides the penalty by the gradient's size: decouple it
        (weight-decay).

    Settings:
        coefficient: in loss/W^2. Krogh and Hertz 1992 find it by the task; usual values 1e-4 to 1e-2; own choice:
            1e-3.
        growth: factor by which a weight tensor has to have grown, "1". Own choice: 2.

    Source:
        Krogh and Hertz, NIPS 1992; Pascanu et al., ICML 2013, section 3.1. Own measurement of remedies by causes.
    """

    coefficient: float = 1e-3
    growth: float = 2.0

    act: ClassVar[Act] = Act.PENALISE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = GROWN
    place: ClassVar[int] = 40
    messages: ClassVar[Mapping[str, str]] = {
        "why": "weights grew {times} times over the run: the penalty pulls them back at {coefficient} of their size",
        "why-plain": "pulls weights back at {coefficient} of their size",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one penalty, for a plain optimizer and weights that have grown."""
        info = optimizer(trace, finding)
        if info is None or (finding is not None and (info.family != "linear" or grown(trace) < self.growth)):
            return ()
        return (self.change(lines=optimizer_lines(info), coefficient=self.coefficient),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the growth of the weights."""
        coefficient, times = number(change.number("coefficient")), grown(trace)
        if times < self.growth:
            return self.say("why-plain", coefficient=coefficient)
        return self.say("why", times=number(times), coefficient=coefficient)


REMEDY = L2()
