"""Normal weights that keep the signal of linear units, and of SELU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Distribution, Recipe, Request
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class LeCun(AbstractMethod):
    """Var W = 1 / fan_in.

    Source:
        LeCun et al., Efficient BackProp, 1998, section 4.6; Klambauer et al., NeurIPS 2017, for SELU.
    """

    source: ClassVar[str] = "LeCun et al. 1998"

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the normal draw."""
        gain = 1.0 if request.gain is None else request.gain
        return Recipe(Distribution.NORMAL, gain, layer.fan_in, why="variance 1 / fan_in")


METHOD = LeCun()
