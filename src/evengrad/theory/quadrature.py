"""Gaussian expectations by Gauss-Legendre quadrature on panels that end at kinks; right to about 1e-12, relative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evengrad.theory._arrays import Array, IntArray, RealFunction
from evengrad.theory._smooth import normal_density
from evengrad.theory.activation import Activation, breakpoints

SMALLEST_VARIANCE = 1e-20
LARGEST_VARIANCE = 1e6  # at infinity, limits are taken here; they are right to about 1e-3

_LEGENDRE = np.polynomial.legendre.leggauss(20)
_PAIR_LEGENDRE = np.polynomial.legendre.leggauss(12)  # squared in number; 3e-15 for every activation known here
_DEVIATIONS = (0.0, 0.75, 1.5, 2.5, 3.5, 5.0, 7.0, 9.5, 12.0, 16.0, 20.0, 25.0, 30.0, 36.0)
_REACHES = (12.0, 20.0, 36.0)  # the density underflows at 38
_NEGLIGIBLE = 1e-13


class Rule(NamedTuple):
    """Nodes ``x`` and weights of an expectation over ``x = sqrt(variance) z``, ``z`` standard normal, each ``[N]``."""

    x: Array
    z: Array
    weights: Array

    def expect(self, values: Array) -> float:
        """Return the expectation of a function given by its values at the nodes."""
        return float(self.weights @ values)


def gaussian_rule(activation: Activation, variance: float) -> Rule:
    """Return the quadrature rule for functions that are as smooth as an activation, under a Gaussian of mean 0.

    Args:
        activation: Its kinks and its smoothness decide the panels.
        variance: Variance of the argument, within ``[SMALLEST_VARIANCE, LARGEST_VARIANCE]``.

    Raises:
        ValueError: The variance is out of range, or the activation grows too fast to have a second moment.
    """
    if not SMALLEST_VARIANCE <= variance <= LARGEST_VARIANCE:
        raise ValueError(f"expected a variance in [{SMALLEST_VARIANCE:g}, {LARGEST_VARIANCE:g}], got {variance:g}")
    deviation = float(np.sqrt(variance))
    for reach in _REACHES:
        try:
            ends = breakpoints(activation, reach * deviation)
        except ValueError:
            if reach == _REACHES[0]:
                raise
            break  # it overflows where its second moment would be decided
        rule = _rule(ends, deviation, reach)
        squares = rule.weights * activation.value(rule.x) ** 2
        tail = float(squares[np.abs(rule.z) > 0.75 * reach].sum())
        if tail <= _NEGLIGIBLE * float(squares.sum()):
            return rule
    raise ValueError(f"{activation.label} grows too fast: its second moment diverges at variance {variance:g}")


def expectation(function: RealFunction, variance: float, kinks: Sequence[float] = ()) -> float:
    """Return the mean of a function of a Gaussian variable of mean 0.

    Args:
        function: Element-wise function, float64 ``[N]`` to float64 ``[N]``; piecewise smooth.
        variance: Variance of the variable, within ``[SMALLEST_VARIANCE, LARGEST_VARIANCE]``.
        kinks: Where the function is not smooth, if known; others are found.

    Raises:
        ValueError: The function is not finite, not piecewise smooth, or has no second moment.

    Example:
        >>> round(expectation(lambda x: x**2, 3.0), 12)
        3.0
    """
    plain = Activation("function", function, function, tuple(sorted(kinks)))
    rule = gaussian_rule(plain, variance)
    return rule.expect(function(rule.x))


def pair_expectation(activation: Activation, variance: float, correlation: float, *, derivative: bool = False) -> float:
    """Return E phi(u1) phi(u2), or E phi'(u1) phi'(u2), of two Gaussian variables of equal variance.

    Args:
        activation: The function phi.
        variance: Variance of u1 and of u2.
        correlation: Their correlation, in ``[-1, 1]``.
        derivative: Take the derivative of phi.

    Raises:
        ValueError: ``correlation`` or ``variance`` is out of range.

    Source:
        u1 and u2 share a part of variance ``|correlation|``; given that part they are independent, so the mean is
        one over products of smooth conditional means.
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"expected a correlation in [-1, 1], got {correlation:g}")
    function = activation.derivative if derivative else activation.value
    if abs(correlation) == 1:
        rule = gaussian_rule(activation, variance)
        return rule.expect(function(rule.x) * function(correlation * rule.x))
    if correlation == 0:
        rule = gaussian_rule(activation, variance)
        return rule.expect(function(rule.x)) ** 2
    outer, spread = _shared_part(activation, variance, abs(correlation))
    means, _ = _conditional_moments(activation, function, outer.x, spread)
    if correlation > 0:
        return outer.expect(means * means)
    mirrored, _ = _conditional_moments(activation, function, -outer.x, spread)
    return outer.expect(means * mirrored)


def pair_gap(activation: Activation, variance: float, correlation: float) -> float:
    """Return E phi(u)^2 - E phi(u1) phi(u2) for a positive correlation, without cancellation near 1.

    Args:
        activation: The function phi.
        variance: Variance of u1 and of u2.
        correlation: Their correlation, in ``(0, 1)``.
    """
    outer, spread = _shared_part(activation, variance, correlation)
    _, variances = _conditional_moments(activation, activation.value, outer.x, spread)
    return outer.expect(variances)


def _rule(ends: Array, deviation: float, reach: float, legendre: tuple[Array, Array] = _LEGENDRE) -> Rule:
    nodes, node_weights = legendre
    deviations = np.array([d for d in _DEVIATIONS if d <= reach])
    cuts = np.unique(np.concatenate([ends / deviation, deviations, -deviations]))
    cuts = cuts[np.abs(cuts) <= reach]
    middle, half = (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts) / 2
    z = (middle[:, None] + half[:, None] * nodes).ravel()
    weights = (half[:, None] * node_weights).ravel() * normal_density(z)
    return Rule(deviation * z, z, weights)


def _shared_part(activation: Activation, variance: float, share: float) -> tuple[Rule, float]:
    """Return a rule for the shared part, and the standard deviation of the rest.

    The conditional mean varies as fast as the activation, except at kinks, which the rest smooths over its own width.
    """
    gaussian_rule(activation, variance)  # refuses what has no second moment
    deviation, spread = float(np.sqrt(variance * share)), float(np.sqrt(variance * (1 - share)))
    ends = breakpoints(activation, _REACHES[0] * deviation)
    steps = spread * np.array([0, 0.75, 1.5, 2.5, 3.5, 5, 7, 9.5])
    smoothed = [kink + sign * steps for kink in activation.kinks for sign in (1, -1)]
    return _rule(np.concatenate([ends, *smoothed]), deviation, _REACHES[0], _PAIR_LEGENDRE), spread


def _conditional_moments(
    activation: Activation, function: RealFunction, centres: Array, spread: float
) -> tuple[Array, Array]:
    """Mean and variance of ``function(centre + spread z)`` for every centre, each ``[N]``."""
    reach = _REACHES[0]
    ends = breakpoints(activation, float(np.abs(centres).max()) + reach * spread)
    row, left, right = _panels(centres, spread, ends, reach)
    middle, half = (left + right) / 2, (right - left) / 2
    nodes, node_weights = _PAIR_LEGENDRE
    z = middle[:, None] + half[:, None] * nodes
    weights = half[:, None] * node_weights * normal_density(z)
    at = centres[row]
    reference = function(centres)  # subtracted so that a small variance does not cancel
    values = function((at[:, None] + spread * z).ravel()).reshape(z.shape) - reference[row][:, None]
    weighted = weights * values
    mean: Array = np.bincount(row, weighted.sum(axis=1), len(centres)).astype(np.float64)
    square: Array = np.bincount(row, (weighted * values).sum(axis=1), len(centres)).astype(np.float64)
    return mean + reference, square - mean**2


def _panels(centres: Array, spread: float, ends: Array, reach: float) -> tuple[IntArray, Array, Array]:
    """Panels in units of the spread round each centre: its row, left and right ends, without the empty ones."""
    deviations = np.array([d for d in _DEVIATIONS if d <= reach])
    first = np.searchsorted(ends, centres - reach * spread, side="right")
    last = np.searchsorted(ends, centres + reach * spread, side="left")
    counts = last - first
    rows = np.arange(len(centres))
    row_of_cut = np.repeat(rows, counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    cuts = (ends[first[row_of_cut] + offset] - centres[row_of_cut]) / spread
    grid = np.unique(np.concatenate([deviations, -deviations]))
    row = np.concatenate([row_of_cut, np.repeat(rows, len(grid))])
    cut = np.concatenate([cuts, np.tile(grid, len(centres))])
    order = np.lexsort((cut, row))
    row, cut = row[order], cut[order]
    inside = (row[1:] == row[:-1]) & (cut[1:] > cut[:-1])
    return row[:-1][inside], cut[:-1][inside], cut[1:][inside]
