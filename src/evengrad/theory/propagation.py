"""Predict signal and gradient layer by layer through a chain of weight layers and activations of any kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from evengrad.theory.activation import Activation
from evengrad.theory.correlation import correlation_map
from evengrad.theory.finite_width import NullBand, layer_noise, null_band
from evengrad.theory.mean_field import Initialisation, gradient_factor, variance_map
from evengrad.theory.quadrature import LARGEST_VARIANCE, SMALLEST_VARIANCE

_SETTLED = 1e-12


@dataclass(frozen=True)
class ChainLayer:
    """A weight layer and the activation that follows it.

    Attributes:
        initialisation: Weight variance (fan_in * Var W) and bias variance.
        activation: The activation after it.
        width: Units, or channels of a convolution; 0 for infinitely many.
    """

    initialisation: Initialisation
    activation: Activation
    width: int = 0


@dataclass(frozen=True)
class Propagation:
    """What mean-field theory expects of a chain, layer 0 nearest the input.

    Gradients are those with respect to pre-activations, sizes L2 norms.

    Attributes:
        q: Variance of each layer's pre-activation, ``[L]``.
        factors: Factor of the squared gradient norm from layer l + 1 back to layer l, ``[L - 1]``.
        decades: log10 of each layer's gradient norm over the last one's, ``[L]``.
        band: Spread of ``attenuation`` over seeds at the layers' widths.
    """

    q: tuple[float, ...]
    factors: tuple[float, ...]
    decades: tuple[float, ...]
    band: NullBand

    @property
    def attenuation(self) -> float:
        """log10 of the first layer's gradient norm over the last one's; negative when it vanishes."""
        return self.decades[0]

    @property
    def growth(self) -> float:
        """log10 of the last layer's pre-activation variance over the first one's."""
        first, last = self.q[0], self.q[-1]
        return math.log10(last / first) if first > 0 and last > 0 else -math.inf


def uniform_chain(
    activation: Activation, initialisation: Initialisation, depth: int, width: int = 0
) -> list[ChainLayer]:
    """Return a chain of equal layers."""
    return [ChainLayer(initialisation, activation, width)] * depth


def propagate(layers: Sequence[ChainLayer], *, q_0: float | None = None, input_square: float = 1.0) -> Propagation:
    """Return the variances and gradients expected along a chain.

    Args:
        layers: At least one, from the input on.
        q_0: Pre-activation variance of the first layer; by default what its variances make of the input.
        input_square: Mean square of an input entry; used if ``q_0`` is not given.

    Raises:
        ValueError: There are no layers, or ``q_0`` is not positive.

    Source:
        Poole et al., NeurIPS 2016; Schoenholz et al., ICLR 2017; without assuming the fixed point. L2 norms: with
        fan_in scaling they do not depend on the widths.
    """
    if not layers:
        raise ValueError("expected at least one layer, got none")
    first = layers[0].initialisation
    q = first.weight_variance * input_square + first.bias_variance if q_0 is None else q_0
    if not q > 0:
        raise ValueError(f"expected a positive pre-activation variance in the first layer, got {q:g}")
    variances, factors, noise = [q], [], []
    for layer, following in pairwise(layers):
        factors.append(gradient_factor(layer.activation, q, following.initialisation))
        noise.append(layer_noise(layer.activation, q, following.initialisation, layer.width))
        q = _bounded(variance_map(layer.activation, q, following.initialisation))
        variances.append(q)
    steps = (math.log10(factor) / 2 if factor > 0 else -math.inf for factor in reversed(factors))
    return Propagation(
        q=tuple(variances),
        factors=tuple(factors),
        decades=tuple(accumulate(steps, initial=0.0))[::-1],
        band=null_band(noise),
    )


def correlate(
    layers: Sequence[ChainLayer], variances: Sequence[float], *, correlation: float = 0.0
) -> tuple[float, ...]:
    """Return the correlation of two inputs' pre-activations in each layer.

    Args:
        layers: The chain.
        variances: ``Propagation.q``.
        correlation: Correlation in the first layer.
    """
    correlations = [correlation]
    for index in range(len(layers) - 1):
        initialisation, q = layers[index + 1].initialisation, max(variances[index], SMALLEST_VARIANCE)
        settled = 1 - correlations[-1] < _SETTLED or (
            index > 0 and _same(layers[index], layers[index + 1], correlations)
        )
        following = (
            correlations[-1]
            if settled
            else correlation_map(layers[index].activation, correlations[-1], q, initialisation)
        )
        correlations.append(min(max(following, -1.0), 1.0))
    return tuple(correlations)


def _same(layer: ChainLayer, following: ChainLayer, correlations: Sequence[float]) -> bool:
    return layer == following and abs(correlations[-1] - correlations[-2]) < _SETTLED


def _bounded(q: float) -> float:
    """Keep a variance within what quadrature covers; beyond either end all factors are at their limit."""
    return min(max(q, SMALLEST_VARIANCE), LARGEST_VARIANCE)
