"""Uniform weights whose variance is a compromise between the forward and the backward pass of linear units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import (
    AbstractMethod,
    Distribution,
    Recipe,
    Request,
    negative_slope,
)
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Xavier(AbstractMethod):
    """Var W = 2 / (fan_in + fan_out): keeps signal and gradient where the activation is nearly linear, as tanh is.

    Under ReLU each layer halves the mean square of signal and gradient; under sigmoid it divides that of the gradient
    by 18.

    Source:
        Glorot and Bengio, AISTATS 2010, equation 16.
    """

    source: ClassVar[str] = "Glorot and Bengio 2010"

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the uniform draw, of gain 1 unless the user gives another."""
        gain = 1.0 if request.gain is None else request.gain
        fan = (layer.fan_in + layer.fan_out) / 2
        why = "mean of fan_in and fan_out"
        if request.gain is None and around.reads is not None:
            if negative_slope(around.reads) is not None:
                why += f"; {around.reads.name} before it halves the signal: he keeps it"
            elif around.reads.name in ("sigmoid", "hardsigmoid", "softplus"):
                why += f"; does not make up for {around.reads.name}"
        return Recipe(Distribution.UNIFORM, gain, fan, why=why)


METHOD = Xavier()
