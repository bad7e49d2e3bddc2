"""Normal weights, then each unit shifted and scaled to mean 0 and variance 1 on one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Adjustment, Distribution, Recipe, Request
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class DataDependent(AbstractMethod):
    """Every unit of every layer sees mean 0 and variance 1 over a batch: what batch normalisation does, once.

    Repairs raw inputs, dead units and the mean of sigmoid. Like batch normalisation it makes deep plain ReLU nets
    chaotic: the mean square of the gradient grows by pi / (pi - 1) = 1.47 per layer.

    Source:
        Krähenbühl et al., ICLR 2016; Salimans and Kingma, NeurIPS 2016, section 3; Yang et al., ICLR 2019 (growth).
    """

    source: ClassVar[str] = "Krähenbühl et al. 2016"
    needs_batch: ClassVar[bool] = True
    adjustment: ClassVar[Adjustment] = Adjustment.UNIT

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the normal draw that is shifted and scaled afterwards."""
        why = "each unit of mean 0 and variance 1 on the batch"
        return Recipe(Distribution.NORMAL, 1.0, layer.fan_in, why=why if layer.bias else f"{why}; no bias to centre by")


METHOD = DataDependent()
