"""LeCun initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import main_activation
from evengrad.remedies._init import can_draw, scale_repairs, stuck_parameters, targets
from evengrad.remedies._structure import DEAD_FROM_BIRTH, WEIGHT_SCALE


@dataclass(frozen=True)
class LecunInit(AbstractRemedy):
    """Draw the weights with variance 1 / fan_in, which SELU is made for.

    What it changes:
        The weights of linear layers and convolutions, drawn anew before the first step; biases become 0.

    Why it helps:
        SELU's constants make mean 0 and variance 1 a stable fixed point under exactly this variance. In linear chains
        it keeps the size of the signal.

    When not to:
        ReLU halves the mean square at every layer under it (He is twice as large). Sigmoid is repaired by no scale.

    Source:
        LeCun, Bottou, Orr and Müller 1998, section 4.6; Klambauer et al., NeurIPS 2017.
    """

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = WEIGHT_SCALE
    eases: ClassVar = DEAD_FROM_BIRTH
    place: ClassVar[int] = 11
    messages: ClassVar[Mapping[str, str]] = {
        "why": "the variance 1/fan_in that SELU is made for: mean 0 and variance 1 are stable under it",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing of the layers, where SELU is the activation."""
        if finding is not None and main_activation(trace) != "selu":
            return ()
        if not can_draw(trace) or stuck_parameters(trace, finding) or not scale_repairs(trace, finding):
            return ()
        return (self.change(modules=targets(trace, finding), method="lecun"),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = LecunInit()
