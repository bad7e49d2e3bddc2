"""Layer-sequential unit-variance initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import has_norms, main_activation
from evengrad.remedies._init import can_draw, scale_repairs, stuck_parameters, targets
from evengrad.remedies._structure import DEAD_FROM_BIRTH, DEPTH, WEIGHT_SCALE


@dataclass(frozen=True)
class LsuvInit(AbstractRemedy):
    """Draw orthogonal weights, then divide each layer's by the spread of its output on a real batch.

    What it changes:
        The weights of linear layers and convolutions before the first step; biases become 0. It needs the first
        batch.

    Why it helps:
        Whatever the activation, and whatever the data's size, every layer puts out values of variance 1 on the data
        that the run sees, so that no formula for the activation is needed (GELU, SiLU, a mixture of several).

    When not to:
        Sigmoid and softplus: variance 1 across units is mean, not signal; in 30 sigmoid layers it held exactly and
        the gradient still fell by 12 decades. Normalised nets hold the variance already. It hides data of a wrong
        size rather than naming it.

    Settings:
        tolerance: distance of a layer's variance from 1 that is left, "1". Mishkin and Matas 2016: 0.1.

    Source:
        Mishkin and Matas, ICLR 2016, algorithm 1. Own measurement of remedies by causes.
    """

    tolerance: float = 0.1

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = WEIGHT_SCALE
    eases: ClassVar = DEAD_FROM_BIRTH | DEPTH
    place: ClassVar[int] = 16
    messages: ClassVar[Mapping[str, str]] = {
        "why": "sets each layer's variance to 1 on a real batch, whatever its activation ({activation})",
        "why-linear": "sets each layer's variance to 1 on a real batch",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing of the layers at fault."""
        if not can_draw(trace) or has_norms(trace) or stuck_parameters(trace, finding):
            return ()
        if not scale_repairs(trace, finding):
            return ()
        return (self.change(modules=targets(trace, finding), method="lsuv", tolerance=self.tolerance),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        name = main_activation(trace)
        return self.say("why", activation=name) if name else self.say("why-linear")


REMEDY = LsuvInit()
