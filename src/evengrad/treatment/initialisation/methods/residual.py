"""The critical method, insisting that residual branches are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Recipe, Request
from evengrad.treatment.initialisation.methods.critical import METHOD as CRITICAL
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Residual(AbstractMethod):
    """Scales the last layer of each of L residual branches by 1 / sqrt(L), so that the stream grows by e at most.

    Transformers with pre-norm count two branches per block: this is GPT-2's 1 / sqrt(2 blocks). Branches that end in a
    normalisation are left at full size.

    Source:
        Radford et al., GPT-2, 2019, section 2.3; De and Smith, NeurIPS 2020; Yang and Schoenholz, NeurIPS 2017.
    """

    source: ClassVar[str] = "De and Smith 2020"
    needs_batch: ClassVar[bool] = True

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return what the critical method draws."""
        return CRITICAL.recipe(layer, around, request)


METHOD = Residual()
