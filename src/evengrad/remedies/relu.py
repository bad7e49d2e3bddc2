"""ReLU in place of a squashing activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._activate import SQUASHED, squashed_sites
from evengrad.remedies._base import AbstractRemedy


@dataclass(frozen=True)
class Relu(AbstractRemedy):
    """Replace sigmoid and its like by ReLU, whose derivative is 1 where a unit is active.

    What it changes:
        The activation at the hidden sites at fault; the output's, and the gates of recurrent layers, stay.

    Why it helps:
        The derivative of sigmoid is at most 1/4, so that ten layers divide the gradient by a million whatever the
        weights. ReLU passes the gradient unchanged through half of the units.

    When not to:
        Alone in deep nets: it halves the mean square at every layer, and He initialisation has to make that good.
        Where weights are at fault a swap leaves the fault in place: tanh at gain 3 explodes as leaky ReLU. Where the
        activation must be bounded, or smooth (physics-informed nets take second derivatives).

    Source:
        Glorot, Bordes and Bengio, AISTATS 2011; He et al., ICCV 2015. Own measurement: ten sigmoid layers were
        repaired by a swap, and by no initialisation, clipping, L2 or layer normalisation.
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = SQUASHED
    place: ClassVar[int] = 12
    messages: ClassVar[Mapping[str, str]] = {
        "why": "its derivative is 1 where it is active; that of sigmoid is at most 1/4",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        sites = squashed_sites(trace, finding)
        return (self.change(modules=sites, to="relu"),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Relu()
