"""How alike two inputs still are after a layer, and how deep a difference between them survives."""

from __future__ import annotations

import math

from scipy import optimize

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments
from evengrad.theory.mean_field import Initialisation, variance_map
from evengrad.theory.quadrature import SMALLEST_VARIANCE, pair_expectation, pair_gap

_CLOSEST = 1e-13  # inputs whose correlation differs from 1 by less count as equal


def correlation_map(activation: Activation, correlation: float, q: float, initialisation: Initialisation) -> float:
    """Return the correlation of two inputs after a layer.

    Args:
        activation: The activation.
        correlation: Correlation of their pre-activations before it.
        q: Variance of the pre-activation, the same for both; the fixed point for the map of the literature.
        initialisation: Weight and bias variance of the layer.

    Source:
        Poole et al., NeurIPS 2016, equation 5.
    """
    following = variance_map(activation, q, initialisation)
    if following == 0:
        return 1.0
    if 0.5 < correlation < 1:
        return 1 - initialisation.weight_variance * pair_gap(activation, q, correlation) / following
    shared = pair_expectation(activation, q, correlation)
    return (initialisation.weight_variance * shared + initialisation.bias_variance) / following


def correlation_slope(activation: Activation, correlation: float, q: float, initialisation: Initialisation) -> float:
    """Return the slope of the correlation map; at correlation 1 and the fixed point it is the gradient factor.

    Source:
        Poole et al., NeurIPS 2016, equation 6.
    """
    following = variance_map(activation, q, initialisation)
    if following == 0:  # a layer that is silent at this variance
        return 0.0
    if activation.jumps and correlation == 1:
        return math.inf
    shared = pair_expectation(activation, q, correlation, derivative=True)
    return initialisation.weight_variance * shared * q / following


def correlation_star(activation: Activation, q: float, initialisation: Initialisation) -> float:
    """Return the correlation that depth leads two inputs to, from any that is not negative.

    On [0, 1] the map is a power series with coefficients that are not negative, hence convex: either 1 attracts
    (slope there at most 1), or exactly one smaller correlation does.

    Args:
        activation: The activation after every layer.
        q: Fixed point of the variance.
        initialisation: Weight and bias variance of every layer.

    Source:
        Schoenholz et al., ICLR 2017, section 3. Convexity is a property of dual activations (Daniely, Frostig and
        Singer, NeurIPS 2016).
    """
    if not q >= SMALLEST_VARIANCE or correlation_slope(activation, 1.0, q, initialisation) <= 1:
        return 1.0
    following = variance_map(activation, q, initialisation)
    mean_square = moments(activation, q).mean ** 2
    if initialisation.bias_variance == 0 and mean_square <= 1e-24 * moments(activation, q).square:
        return 0.0

    def growth(log_gap: float) -> float:
        gap = initialisation.weight_variance * pair_gap(activation, q, -math.expm1(log_gap)) / following
        return math.log(gap) - log_gap

    low, high = math.log(_CLOSEST), math.log1p(-1e-12)
    if growth(low) <= 0:
        return 1.0
    if growth(high) >= 0:
        return 0.0
    return -math.expm1(optimize.brentq(growth, low, high, xtol=1e-13, rtol=1e-13))
