"""He initialisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import RECTIFIERS, main_activation
from evengrad.remedies._init import can_draw, overfactor, scale_repairs, stuck_parameters, suits, targets
from evengrad.remedies._structure import DEAD_FROM_BIRTH, DERIVATIVE, WEIGHT_SCALE
from evengrad.rules._words import number


@dataclass(frozen=True)
class HeInit(AbstractRemedy):
    """Draw the weights with variance 2 / fan_in, which keeps the gradient's size through ReLU layers.

    What it changes:
        The weights of linear layers and convolutions, drawn anew before the first step; biases become 0.

    Why it helps:
        A rectifier passes half of its units. Var W = 2 / ((1 + a^2) fan_in) makes good that half (a: negative slope),
        so that mean squared gradient and signal are the same in every layer. PyTorch's default has a sixth of that
        variance and loses 0.39 decades per ReLU layer.

    When not to:
        GELU and SiLU lose signal under it, tanh saturates, sigmoid is repaired by no scale of the weights. In front
        of a normalisation layer it changes nothing but the effective learning rate. In a deep net it may expose a
        learning rate that was hidden: lr 0.02 with momentum 0.9 was too high for 20 layers that it had set right.

    Source:
        He, Zhang, Ren and Sun, ICCV 2015, equation 10. Own measurement of remedies by causes.
    """

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = WEIGHT_SCALE | DEAD_FROM_BIRTH
    eases: ClassVar = DERIVATIVE
    place: ClassVar[int] = 10
    messages: ClassVar[Mapping[str, str]] = {
        "why": "keeps the gradient's size through ReLU layers: now the weights multiply the signal by {factor}, where "
        "1.41 is needed",
        "why-plain": "keeps the gradient's size through ReLU layers",
        "why-dead": "brings weights and biases of {modules} back to where units respond to the data",
        "why-zero": "starts {parameters} at random: a weight that is zero hands on no gradient",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing of the layers at fault."""
        stuck = stuck_parameters(trace, finding)
        if stuck:
            return (self.change(parameters=stuck, method="he"),)
        chosen = suits(trace) if finding is not None else self.id
        if chosen != self.id or not can_draw(trace) or not scale_repairs(trace, finding):
            return ()
        return (self.change(modules=targets(trace, finding), method="he"),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the factor by which today's weights scale the signal."""
        if change.parameters:
            return self.say("why-zero", parameters=", ".join(change.parameters))
        if change.modules:
            return self.say("why-dead", modules=", ".join(change.modules))
        factor = overfactor(trace)
        if main_activation(trace) not in RECTIFIERS or not math.isfinite(factor):
            return self.say("why-plain")
        return self.say("why", factor=number(factor))


REMEDY = HeInit()
