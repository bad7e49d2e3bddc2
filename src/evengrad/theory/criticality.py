"""Where the edge of chaos is, and for which activations there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import optimize

from evengrad.theory.activation import Activation, shift
from evengrad.theory.averages import Moments, moments
from evengrad.theory.mean_field import Initialisation

_ROUNDING = 1e-10  # relative size below which a residual counts as 0
_GRID = 10.0 ** (np.linspace(-4, 5, 91) + 0.0137)


class Obstacle(Enum):
    """Why an activation has no edge of chaos at a variance."""

    MEAN = "mean"  # the mean of phi alone exceeds the variance: the bias variance would have to be negative
    JUMP = "jump"  # phi jumps, so nearby inputs part at an infinite rate
    FLAT = "flat"  # phi' is 0 almost everywhere


@dataclass(frozen=True)
class EdgeOfChaos:
    """The initialisation that keeps both the variance and the gradient, at one variance.

    Attributes:
        q: Variance of the pre-activation, which is to be a fixed point.
        weight_variance: 1 / E phi'^2, which makes the gradient factor 1; ``inf`` for a flat activation.
        bias_variance: q - E phi^2 / E phi'^2, which makes ``q`` a fixed point; negative where that is impossible.
        growth: chi_par there; the variance is stable if it is below 1.
        mean: E phi.
        residual: q E phi'^2 - E phi^2, the Poincaré criterion: criticality is possible iff it is not negative.
        obstacle: Why there is none; ``None`` if there is one.
    """

    q: float
    weight_variance: float
    bias_variance: float
    growth: float
    mean: float
    residual: float
    obstacle: Obstacle | None = None

    @property
    def feasible(self) -> bool:
        """Whether an initialisation with these variances exists."""
        return self.obstacle is None

    @property
    def stable(self) -> bool:
        """Whether the variance returns to ``q``; marginal (ReLU) counts as stable."""
        return self.growth <= 1 + 1e-9

    @property
    def initialisation(self) -> Initialisation:
        """The variances as an initialisation.

        Raises:
            ValueError: There is none.
        """
        if self.obstacle is not None:
            raise ValueError(f"no critical initialisation at q = {self.q:g}: obstacle is the {self.obstacle.value}")
        return Initialisation(self.weight_variance, self.bias_variance)


@dataclass(frozen=True)
class Interval:
    """A closed range of variances."""

    low: float
    high: float


def edge_of_chaos(activation: Activation, q: float = 1.0) -> EdgeOfChaos:
    """Return the critical weight and bias variance at a pre-activation variance, or what stands in their way.

    By the Gaussian Poincaré inequality, q E phi'^2 >= Var phi; the bias variance q - E phi^2 / E phi'^2 can thus only
    be negative because of the mean of phi.

    Args:
        activation: The activation after every layer.
        q: Variance of the pre-activation, positive.

    Source:
        Schoenholz et al., ICLR 2017, for chi_1 = 1; the criterion is our own derivation, above.
    """
    m = moments(activation, q)
    residual = q * m.slope_square - m.square
    if q * m.slope_square <= _ROUNDING**2 * m.square:
        return EdgeOfChaos(q, math.inf, -math.inf, math.nan, m.mean, residual, Obstacle.FLAT)
    weight_variance = 1 / m.slope_square
    if abs(residual) <= _ROUNDING * m.square:
        residual = 0.0
    obstacle = Obstacle.JUMP if activation.jumps else Obstacle.MEAN if residual < 0 else None
    return EdgeOfChaos(
        q=q,
        weight_variance=weight_variance,
        bias_variance=residual * weight_variance,
        growth=m.square_growth * weight_variance,
        mean=m.mean,
        residual=residual,
        obstacle=obstacle,
    )


def centred_edge(activation: Activation, q: float = 1.0) -> EdgeOfChaos:
    """Return the edge of chaos after the mean is subtracted, phi - E phi, which always exists if phi is continuous.

    Source:
        Own derivation, from the criterion of ``edge_of_chaos``; compare deep kernel shaping (Martens et al., 2021).
    """
    return edge_of_chaos(centre(activation, q), q)


def centre(activation: Activation, q: float = 1.0) -> Activation:
    """Return the activation minus its mean at a pre-activation variance."""
    return shift(activation, moments(activation, q).mean)


def critical_range(activation: Activation) -> tuple[Interval, ...]:
    """Return the ranges of the variance, within [1e-4, 1e5], at which criticality is possible; empty if never."""
    if activation.jumps:
        return ()

    def residual(q: float) -> float:
        edge = edge_of_chaos(activation, q)
        return -1.0 if edge.obstacle is Obstacle.FLAT else edge.residual / q

    qs = [float(q) for q in _GRID]
    inside = [residual(q) >= 0 for q in qs]
    ends: list[float] = [qs[0]] if inside[0] else []
    ends.extend(
        _crossing(residual, qs[index], qs[index + 1])
        for index in range(len(qs) - 1)
        if inside[index] != inside[index + 1]
    )
    if inside[-1]:
        ends.append(qs[-1])
    return tuple(Interval(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True))


def edges_at_bias(activation: Activation, bias_variance: float) -> tuple[EdgeOfChaos, ...]:
    """Return every edge of chaos with a given bias variance, by ascending variance of the pre-activation.

    Args:
        activation: The activation after every layer.
        bias_variance: Var(b), positive; for 0 use ``edge_of_chaos`` with the variance wanted.

    Raises:
        ValueError: ``bias_variance`` is not positive.
    """
    if not bias_variance > 0:
        raise ValueError(f"expected bias_variance > 0, got {bias_variance:g}; at 0 use edge_of_chaos(activation, q)")

    def excess(q: float) -> float:
        return edge_of_chaos(activation, q).bias_variance - bias_variance

    return tuple(edge_of_chaos(activation, q) for q in _zeros(excess))


def half_stable_points(activation: Activation) -> tuple[EdgeOfChaos, ...]:
    """Return the edges of chaos at which chi_par is 1 too: stable from one side, as for GELU and SiLU.

    Empty for activations without such a point, and for scale-invariant ones (ReLU), where every edge is marginal.

    Source:
        Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022, section 5.3.4.
    """

    def excess(q: float) -> float:
        growth = edge_of_chaos(activation, q).growth - 1
        return 0.0 if abs(growth) < _ROUNDING or math.isnan(growth) else growth

    edges = (edge_of_chaos(activation, q) for q in _zeros(excess))
    return tuple(edge for edge in edges if edge.feasible)


def poincare_gap(values: Moments) -> float:
    """Return q E phi'^2 - Var phi, never negative; it bounds the mean that criticality tolerates.

    Source:
        Gaussian Poincaré inequality (Chernoff, Annals of Probability 1981).
    """
    return values.q * values.slope_square - values.variance


def _zeros(function: Callable[[float], float]) -> list[float]:
    qs = [float(q) for q in _GRID]
    signs = [function(q) for q in qs]
    pairs = zip(qs[:-1], qs[1:], signs[:-1], signs[1:], strict=True)
    return [_crossing(function, low, high) for low, high, at_low, at_high in pairs if at_low * at_high < 0]


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    if function(low) * function(high) >= 0:  # one side is a range of zeros (Hardtanh at small q)
        return low if function(low) == 0 else high
    found = optimize.brentq(lambda log: function(math.exp(log)), math.log(low), math.log(high), xtol=1e-14, rtol=1e-14)
    return math.exp(found)
