"""Xavier initialisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._init import can_draw, overfactor, scale_repairs, stuck_parameters, suits, targets
from evengrad.remedies._structure import DEAD_FROM_BIRTH, DERIVATIVE, WEIGHT_SCALE
from evengrad.rules._words import number


@dataclass(frozen=True)
class XavierInit(AbstractRemedy):
    """Draw the weights with variance 2 / (fan_in + fan_out), which keeps the gradient's size through tanh layers.

    What it changes:
        The weights of linear layers and convolutions, drawn uniformly and anew before the first step; biases become
        0.

    Why it helps:
        Signal and gradient keep their size where the activation is linear near zero with slope 1 (tanh, softsign,
        none). At that scale tanh is at the edge between order, where signals die out, and chaos, where gradients grow
        and units saturate.

    When not to:
        ReLU halves the mean square at every layer under it. Sigmoid, with a slope of at most 1/4, is repaired by no
        scale of the weights. In front of a normalisation layer it changes only the effective learning rate.

    Settings:
        gain: factor on the standard deviation, "1". Glorot and Bengio 2010: 1. torch's gain of 5/3 for tanh is
            chaotic in deep nets (theory page, criticality).

    Source:
        Glorot and Bengio, AISTATS 2010, equation 16; Schoenholz et al., ICLR 2017 (order and chaos). Own measurement:
        40 tanh layers at gain 3 were repaired by it, and by neither clipping, L2 nor a hundredth of the rate.
    """

    gain: float = 1.0

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = WEIGHT_SCALE | DERIVATIVE | DEAD_FROM_BIRTH
    place: ClassVar[int] = 12
    messages: ClassVar[Mapping[str, str]] = {
        "why": "keeps the gradient's size through tanh and linear layers: now the weights multiply the signal by "
        "{factor}, where about 1 is needed",
        "why-plain": "keeps the gradient's size through tanh and linear layers",
        "why-dead": "brings weights and biases of {modules} back to where units respond to the data",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing of the layers at fault."""
        chosen = suits(trace) if finding is not None else self.id
        if chosen != self.id or not can_draw(trace) or stuck_parameters(trace, finding):
            return ()
        if not scale_repairs(trace, finding):
            return ()
        return (self.change(modules=targets(trace, finding), method="xavier", gain=self.gain),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the factor by which today's weights scale the signal."""
        if change.modules:
            return self.say("why-dead", modules=", ".join(change.modules))
        factor = overfactor(trace)
        return self.say("why", factor=number(factor)) if math.isfinite(factor) else self.say("why-plain")


REMEDY = XavierInit()
