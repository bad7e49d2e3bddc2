"""The critical point to start from, for one activation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments
from evengrad.theory.criticality import Obstacle, centred_edge, edge_of_chaos

_VARIANCES = (1.0, 2.0, 4.0, 8.0, 16.0)
_SMALL_VARIANCES = (1.0, 0.5, 0.25, 0.1)
_BIAS_SHARE = 0.05  # of the pre-activation's variance: what every input has in common
_STEADY_GROWTH = 0.85  # a deviation of the variance falls to this share of itself per layer
PENNINGTON_Q = 0.025  # where tanh is all but linear, so that orthogonal weights give orthogonal Jacobians


@dataclass(frozen=True)
class Point:
    """Where an activation is critical.

    Attributes:
        q: Variance of the pre-activation to aim at.
        centred: Whether the activation's mean must be cancelled, by weights that sum to 0 over the inputs.
        why: Reason if ``centred``, or what theory cannot give; "" otherwise.
    """

    q: float
    centred: bool = False
    why: str = ""


@dataclass(frozen=True)
class Variances:
    """Weight and bias variance, in units of 1/fan_in and 1, and the variance of the output that they give."""

    weight: float
    bias: float
    q: float


@lru_cache(maxsize=256)
def critical_point(activation: Activation) -> Point:
    """Return the variance at which to use an activation, and whether its mean has to be cancelled.

    Where the edge of chaos is stable, the variance is the largest of 1, 1/2, 1/4 and 1/10 at which biases make up a
    twentieth of it at most. Where the mean of phi leaves no edge (sigmoid, softplus) or an unstable one (GELU, SiLU),
    the centred activation has one; the variance is then the smallest of 1, 2, 4, 8, 16 at which deviations fall by 15 %
    or more per layer.

    Args:
        activation: The activation.

    Source:
        Own derivation, see ``theory.criticality``. The 15 % are our own choice. At growth .98 (Hardswish, variance 1)
        100 layers of width 256 drift by 5.6 decades, at .76 (variance 4) by 0.3. So is the twentieth. Biases are the
        same for every input; a tanh net of 40 layers ended 150 steps at a loss of 0.74 with variance 1 (biases make up
        15 %), at 0.02 with 1/4 (3 %).
    """
    edge = edge_of_chaos(activation)
    if edge.obstacle is Obstacle.FLAT:
        return Point(1.0, why=f"{activation.name} is flat: no weights let a gradient through; the signal is kept")
    if edge.obstacle is Obstacle.JUMP:
        return Point(1.0, why=f"{activation.name} jumps, so there is no critical point; the gradient is kept")
    if edge.feasible and edge.stable:
        low = [q for q in _SMALL_VARIANCES if edge_of_chaos(activation, q).bias_variance <= _BIAS_SHARE * q]
        return Point(low[0] if low else 1.0)
    growths = [centred_edge(activation, q).growth for q in _VARIANCES]
    steady = [q for q, growth in zip(_VARIANCES, growths, strict=True) if growth <= _STEADY_GROWTH]
    if edge.feasible:
        reason = f"the critical point of {activation.name} is unstable"
    else:
        reason = f"{activation.name} has no critical point at variance 1, its mean is too large"
    if min(growths) > 1:
        return Point(1.0, centred=True, why=f"{reason}, also without its mean: depth needs a normalisation")
    q = steady[0] if steady else _VARIANCES[growths.index(min(growths))]
    return Point(q, centred=True, why=f"{reason}; made critical by weights that cancel the mean")


def variances_after(activation: Activation, source_q: float, target_q: float, *, bias: bool) -> Variances:
    """Return what a layer that reads an activation needs: gradient factor 1, and ``target_q`` if a bias can make it up.

    Args:
        activation: What the layer reads.
        source_q: Variance of that activation's input.
        target_q: Variance wanted at the layer's output.
        bias: Whether the layer has a bias.

    Source:
        Schoenholz et al., ICLR 2017, with chi_1 = 1 and q = sigma_w^2 E phi^2 + sigma_b^2.
    """
    m = moments(activation, source_q)
    signal = m.variance if critical_point(activation).centred else m.square
    if m.slope_square <= 1e-20 * max(m.square, 1e-300):
        weight = target_q / signal if signal > 0 else 1.0
        return Variances(weight, 0.0, target_q)
    weight = 1 / m.slope_square
    kept = weight * signal
    spare = target_q - kept
    bias_variance = spare if bias and spare > 1e-9 * target_q else 0.0
    return Variances(weight, bias_variance, kept + bias_variance)


def bias_variance_of(activation: Activation | None) -> tuple[float, float]:
    """Return the variance to aim at before an activation, and the share of it that biases make up in the long run."""
    if activation is None:
        return 1.0, 0.0
    point = critical_point(activation)
    return point.q, variances_after(activation, point.q, point.q, bias=True).bias
