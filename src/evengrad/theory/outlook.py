"""How deep a plain net may be: where its gradient, or what tells inputs apart, is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from evengrad.theory.mean_field import decades_per_layer, depth_scale
from evengrad.theory.propagation import Propagation

_ROUNDING = 1e-9


@dataclass(frozen=True)
class TrainableDepth:
    """Depths up to which a plain net of equal layers meets a limit each; beyond the layers looked at, in the long run.

    Attributes:
        by_correlation: Inputs can still be told apart at the last layer (and, in the chaotic phase, are still alike).
        by_gradient: The gradient falls or grows over the whole depth by no more than tolerated.
        by_variance: An unstable variance (GELU's, at the edge of chaos) has not yet left its fixed point.
    """

    by_correlation: float
    by_gradient: float
    by_variance: float = math.inf

    @property
    def depth(self) -> float:
        """The smallest of them; ``inf`` if theory sets no limit."""
        return min(self.by_correlation, self.by_gradient, self.by_variance)


@dataclass(frozen=True)
class DepthLimits:
    """Thresholds of ``TrainableDepth``; by default those within which nets train.

    Attributes:
        correlation_scales: Depth in units of the correlation's depth scale: inputs without correlation come to differ
            by exp(-correlation_scales) in correlation.
        vanishing_decades: Attenuation tolerated.
        exploding_decades: Growth tolerated.
        variance_growth: Factor by which a deviation of the variance may have grown.

    Source:
        Schoenholz et al., ICLR 2017, figure 5 (6 depth scales). The decades are our own choice: of 116 runs, those that
        trained lay between -2.9 and +1.6, those that failed of depth beyond -4.3 and +3.2. So is the growth: of nets
        with an unstable variance, 2 % had left those decades where it was 10, 33 % at 100, 82 % at 10,000 (see
        docs/evidence/papers.md).
    """

    correlation_scales: float = 6.0
    vanishing_decades: float = -3.0
    exploding_decades: float = 2.0
    variance_growth: float = 100.0


# Beyond these nothing in docs/theory.md trained well: a correlation of 1 - 1e-8 is one to float32.
HOPELESS = DepthLimits(
    correlation_scales=8 * math.log(10), vanishing_decades=-4.0, exploding_decades=3.0, variance_growth=1e4
)


class Outlook(Enum):
    """What to expect of a plain net of some depth."""

    TRAINS = "trains"
    DOUBTFUL = "doubtful"  # slowly, late, or with an adaptive optimizer only
    FAILS = "fails"


def trainable_depth(
    factor: float,
    correlation_scale: float,
    limits: DepthLimits | None = None,
    *,
    growth: float = 1.0,
    propagation: Propagation | None = None,
    correlations: Sequence[float] = (),
) -> TrainableDepth:
    """Return the largest depth at which a plain net of equal layers stays within limits.

    Args:
        factor: chi_1 at the fixed point.
        correlation_scale: Depth scale of the correlation, in layers.
        limits: Thresholds; by default those within which nets train.
        growth: chi_par at the fixed point.
        propagation: A chain of such layers; its own factors count for as long as it lasts.
        correlations: Correlation of two uncorrelated inputs along that chain, likewise.
    """
    limits = limits or DepthLimits()
    factors = propagation.factors if propagation else ()
    return TrainableDepth(
        _by_correlation(correlations, factor, correlation_scale, limits),
        _by_gradient(factors, factor, limits),
        1 + math.log(limits.variance_growth) / math.log(growth) if growth > 1 + _ROUNDING else math.inf,
    )


def _by_gradient(factors: Sequence[float], factor: float, limits: DepthLimits) -> float:
    total = 0.0
    for index, one in enumerate(factors):
        total += decades_per_layer(one)
        if not limits.vanishing_decades <= total <= limits.exploding_decades:
            return index + 1
    if math.isinf(depth_scale(factor)):
        return math.inf
    rate = decades_per_layer(factor)
    tolerated = limits.vanishing_decades if rate < 0 else limits.exploding_decades
    return 1 + len(factors) + (tolerated - total) / rate


def _by_correlation(correlations: Sequence[float], factor: float, scale: float, limits: DepthLimits) -> float:
    if factor > 1 or not correlations:  # chaotic: what is lost is likeness
        return limits.correlation_scales * scale
    smallest = math.exp(-limits.correlation_scales)
    for depth, correlation in enumerate(correlations):
        if 1 - correlation < smallest:
            return depth
    if math.isinf(scale):
        return math.inf
    return len(correlations) + (limits.correlation_scales + math.log(1 - correlations[-1])) * scale
