"""Convolutions that start as an orthogonal map of the centre pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Kind, Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Distribution, Recipe, Request
from evengrad.treatment.initialisation.methods.orthogonal import orthogonal_recipe
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class DeltaOrthogonal(AbstractMethod):
    """Centre tap orthogonal, all others 0; matrices are orthogonal.

    Keeps signal and gradient of plain convolutional nets over thousands of layers, as no other kernel does. A layer
    with fewer outputs than inputs drops some directions.

    Source:
        Xiao et al., ICML 2018.
    """

    source: ClassVar[str] = "Xiao et al. 2018"

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the orthogonal draw at the centre tap."""
        if layer.kind is not Kind.CONVOLUTION:
            return orthogonal_recipe(Distribution.ORTHOGONAL, layer, around, request)
        found = orthogonal_recipe(Distribution.DELTA, layer, around, request)
        if layer.fan_out < layer.fan_in:
            found = replace(found, why=f"{found.why}; fewer outputs than inputs: some directions are dropped")
        return found


METHOD = DeltaOrthogonal()
