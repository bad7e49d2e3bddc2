"""Recurrent layers only: orthogonal hidden matrices, and gates that start open to the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Recipe, Request
from evengrad.treatment.initialisation.methods.lecun import METHOD as LECUN
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Recurrent(AbstractMethod):
    """Draws what every method draws in recurrent layers, and leaves all others as they are.

    Source:
        Saxe et al., ICLR 2014; Jozefowicz et al., ICML 2015; Tallec and Ollivier, ICLR 2018.
    """

    source: ClassVar[str] = "Tallec and Ollivier 2018"
    only_recurrent: ClassVar[bool] = True

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return LeCun's draw; only recurrent layers ask for one, for their input matrices."""
        return LECUN.recipe(layer, around, request)


METHOD = Recurrent()
