"""Orthogonal weights, which keep the norm in every direction, not just on average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evengrad.theory.activation import Activation
from evengrad.theory.criticality import edge_of_chaos
from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Distribution, Recipe, Request
from evengrad.treatment.initialisation.methods._points import PENNINGTON_Q
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Orthogonal(AbstractMethod):
    """W W^T = g^2 I, with g for the activation that is read: critical where that is nearly linear (q = 0.025).

    With tanh-like activations the singular values of the whole net then stay together over hundreds of layers. With
    ReLU the gain is sqrt(2), and the singular values spread almost as with normal weights.

    Source:
        Saxe, McClelland and Ganguli, ICLR 2014; Pennington, Schoenholz and Ganguli, NeurIPS 2017 (tanh at
        sigma_w^2 = 1.05, sigma_b^2 = 2.01e-5, which is q = 0.026).
    """

    source: ClassVar[str] = "Saxe et al. 2014"
    distribution: ClassVar[Distribution] = Distribution.ORTHOGONAL

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the orthogonal draw."""
        return orthogonal_recipe(Distribution.ORTHOGONAL, layer, around, request)


def orthogonal_recipe(distribution: Distribution, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
    """Return an orthogonal draw with the gain for the activation that a layer reads."""
    if request.gain is not None:
        return Recipe(distribution, request.gain, layer.fan_in, why="gain as given")
    if around.is_head or around.reads is None:
        return Recipe(distribution, 1.0, layer.fan_in, why="output head: gain 1" if around.is_head else "gain 1")
    gain, bias_std, why = _gain(around.reads)
    return Recipe(distribution, gain, layer.fan_in, bias_std if layer.bias else 0.0, why=why)


def _gain(activation: Activation) -> tuple[float, float, str]:
    low = edge_of_chaos(activation, PENNINGTON_Q)
    if low.feasible and low.stable:
        return math.sqrt(low.weight_variance), math.sqrt(low.bias_variance), f"critical for {activation.label}"
    edge = edge_of_chaos(activation)
    if not math.isfinite(edge.weight_variance):
        return 1.0, 0.0, f"{activation.name} passes no gradient"
    why = f"keeps the gradient through {activation.label}; not the signal: its critical point is unstable or missing"
    return math.sqrt(edge.weight_variance), 0.0, why


METHOD = Orthogonal()
