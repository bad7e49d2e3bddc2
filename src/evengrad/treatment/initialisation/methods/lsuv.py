"""Orthogonal weights, then each layer scaled to outputs of unit variance on one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments
from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Adjustment, Distribution, Recipe, Request
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Lsuv(AbstractMethod):
    """Layer-sequential unit variance: needs no theory, only a batch that is like the data.

    It keeps the signal, and the gradient as far as E phi'^2 = E phi^2: exactly for (leaky) ReLU, not for tanh (chaotic,
    +0.036 decades per layer). Where the activation's mean dominates (sigmoid, softplus), all samples become alike and
    the gradient vanishes all the same.

    Source:
        Mishkin and Matas, ICLR 2016, algorithm 1; done in one forward pass, since each layer is linear in its weights.
    """

    source: ClassVar[str] = "Mishkin and Matas 2016"
    needs_batch: ClassVar[bool] = True
    adjustment: ClassVar[Adjustment] = Adjustment.LAYER

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the orthogonal draw that is scaled afterwards."""
        why = "unit variance on the batch"
        rate = _decades_per_layer(around.reads)
        if abs(rate) > _NOTABLE:
            name = around.reads.label if around.reads is not None else ""
            why += f"; with {name} the gradient changes by {rate:+.3f} decades per layer all the same (critical: 0)"
        return Recipe(Distribution.ORTHOGONAL, 1.0, layer.fan_in, why=why)


_NOTABLE = 0.01  # decades per layer: 100 layers make a decade


def _decades_per_layer(activation: Activation | None) -> float:
    """Return what unit variance does to the gradient per layer back: E phi'^2 / E phi^2, in decades of its norm."""
    if activation is None:
        return 0.0
    m = moments(activation, 1.0)
    return 0.5 * math.log10(m.slope_square / m.square) if m.slope_square > 0 and m.square > 0 else 0.0


METHOD = Lsuv()
