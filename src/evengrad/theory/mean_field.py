"""How the variance of pre-activations and the size of gradients change from layer to layer, at infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import optimize

from evengrad.theory.activation import Activation
from evengrad.theory.averages import Moments, moments
from evengrad.theory.quadrature import LARGEST_VARIANCE, SMALLEST_VARIANCE

# Where fixed points are looked for: four per decade, off the round values at which people place them.
_GRID = 10.0 ** (np.linspace(-10, 5.75, 64) + 0.037)
_MARGINAL = 1e-13  # |ln(V(q) / q)| below this is a fixed point to rounding
_NEAR = 0.01
_ROUNDING = 1e-12
_ITERATIONS = 100
_SETTLED = 1e-15


class Phase(Enum):
    """What depth does to a gradient at the fixed point of the variance."""

    ORDERED = "ordered"  # gradients vanish, all inputs become alike
    CRITICAL = "critical"
    CHAOTIC = "chaotic"  # gradients explode, like inputs become unlike


@dataclass(frozen=True)
class Initialisation:
    """Variances of fresh weights and biases.

    Attributes:
        weight_variance: fan_in * Var(W).
        bias_variance: Var(b).
    """

    weight_variance: float
    bias_variance: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("weight_variance", self.weight_variance), ("bias_variance", self.bias_variance)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"expected {name} to be a finite number >= 0, got {value}")


@dataclass(frozen=True)
class FixedPoint:
    """A variance that a layer maps to itself; ``growth`` is chi_par, the factor of a small deviation per layer."""

    q: float
    growth: float

    @property
    def stable(self) -> bool:
        """Whether deviations shrink."""
        return abs(self.growth) < 1


def variance_map(activation: Activation, q: float, initialisation: Initialisation) -> float:
    """Return the pre-activation variance of the next layer, sigma_w^2 E phi(h)^2 + sigma_b^2.

    Source:
        Poole et al., NeurIPS 2016, equation 3.
    """
    return initialisation.weight_variance * _moments(activation, q).square + initialisation.bias_variance


def gradient_factor(activation: Activation, q: float, initialisation: Initialisation) -> float:
    """Return chi_1 = sigma_w^2 E phi'(h)^2, the factor of the squared gradient norm per layer, going backwards.

    Source:
        Schoenholz et al., ICLR 2017, equation 5.
    """
    return initialisation.weight_variance * _moments(activation, q).slope_square


def variance_growth(activation: Activation, q: float, initialisation: Initialisation) -> float:
    """Return chi_par = dV/dq, the factor of a small deviation of the variance per layer.

    Source:
        Schoenholz et al., ICLR 2017, equation 8 (there with phi''; here by parts, so that kinks are allowed).
    """
    return initialisation.weight_variance * _moments(activation, q).square_growth


def fixed_points(activation: Activation, initialisation: Initialisation) -> tuple[FixedPoint, ...]:
    """Return the variances that a layer maps to themselves, ascending; 0 is among them if a silent net stays silent.

    A range in which *every* variance is one (ReLU at weight variance 2) yields none; ``q_star`` gives the one reached.
    """
    points: list[float] = []
    if initialisation.bias_variance == 0 and float(activation.value(np.zeros(1))[0]) == 0:
        points.append(0.0)
    drift = _drift(activation, initialisation)
    drifts = [drift(float(q)) for q in _GRID]
    points.extend(
        _root(drift, float(_GRID[index]), float(_GRID[index + 1]))
        for index in range(len(_GRID) - 1)
        if drifts[index] * drifts[index + 1] < 0 and min(abs(drifts[index]), abs(drifts[index + 1])) > _MARGINAL
    )
    return tuple(FixedPoint(q, variance_growth(activation, q, initialisation)) for q in points)


def q_star(activation: Activation, initialisation: Initialisation, *, q_0: float = 1.0) -> float:
    """Return the variance that depth leads to: a fixed point, which may be 0, or ``inf``.

    It never cycles: sqrt(q) E phi^2 grows with q, so the map falls more slowly than 1 / sqrt(q), while between the two
    points of a cycle it would fall like 1 / q; and where there are no cycles of two there are no longer ones.

    A net that starts within 1 % of a fixed point is taken to sit on it, even on an unstable one (GELU, SiLU): which way
    it leaves, and when, is decided by rounding of the published constants and by finite width.

    Args:
        activation: The activation after every layer.
        initialisation: Weight and bias variance of every layer.
        q_0: Pre-activation variance of the first layer.

    Source:
        Poole et al., NeurIPS 2016, section 2. There may be several fixed points; this is the one reached from ``q_0``.
    """
    if initialisation.weight_variance == 0:
        return initialisation.bias_variance
    drift = _drift(activation, initialisation)
    near = [point.q for point in fixed_points(activation, initialisation) if abs(point.q / q_0 - 1) <= _NEAR]
    if near or abs(drift(q_0)) < _MARGINAL:
        return near[0] if near else q_0
    q = q_0
    for _ in range(_ITERATIONS):
        following = variance_map(activation, q, initialisation)
        if following >= LARGEST_VARIANCE:
            return math.inf
        if following <= SMALLEST_VARIANCE:
            return 0.0
        if abs(following - q) <= _SETTLED * q:
            return following
        q = following
    return _next_fixed_point(drift, q)


def phase(factor: float, *, tolerance: float = 1e-3) -> Phase:
    """Return the phase that a gradient factor belongs to.

    Args:
        factor: chi_1 at the fixed point.
        tolerance: Largest ``|ln chi_1|`` called critical.

    Source:
        Schoenholz et al., ICLR 2017. The tolerance is our own choice, a depth scale of 1000 layers, so that published
        critical values rounded to three digits stay critical.
    """
    if abs(math.log(max(factor, SMALLEST_VARIANCE))) <= tolerance:
        return Phase.CRITICAL
    return Phase.ORDERED if factor < 1 else Phase.CHAOTIC


def depth_scale(factor: float) -> float:
    """Return the number of layers over which ``factor ** depth`` changes by e; ``inf`` for a factor of 1 to rounding.

    Source:
        Schoenholz et al., ICLR 2017, equations 7, 9 and 20.
    """
    size = abs(factor)
    if size in (0.0, math.inf):
        return 0.0
    return math.inf if abs(size - 1) < _ROUNDING else 1 / abs(math.log(size))


def decades_per_layer(factor: float) -> float:
    """Return log10 of the factor of a gradient's norm, given that of its square."""
    return math.log10(factor) / 2 if factor > 0 else -math.inf


def _moments(activation: Activation, q: float) -> Moments:
    return moments(activation, min(max(q, SMALLEST_VARIANCE), LARGEST_VARIANCE))


def _drift(activation: Activation, initialisation: Initialisation) -> Callable[[float], float]:
    """Return ln(V(q) / q), whose zeros are the fixed points."""

    def drift(q: float) -> float:
        following = variance_map(activation, q, initialisation)
        return math.log(following / q) if following > 0 else -math.inf

    return drift


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find a zero on a logarithmic axis, to rounding."""
    found = optimize.brentq(lambda log: function(math.exp(log)), math.log(low), math.log(high), xtol=1e-14, rtol=1e-14)
    return math.exp(found)


def _next_fixed_point(drift: Callable[[float], float], q: float) -> float:
    """Find the first fixed point on the way up or down, where iteration makes slow progress."""
    rises = drift(q) > 0
    for step in _GRID[q < _GRID] if rises else _GRID[q > _GRID][::-1]:
        following = float(step)
        value = drift(following)
        if abs(value) < _MARGINAL:
            return following
        if (value > 0) != rises:
            return _root(drift, min(q, following), max(q, following))
        q = following
    return math.inf if rises else 0.0
