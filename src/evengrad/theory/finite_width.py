"""How far a net of finite width may stray from mean-field theory: the band within which a gradient is unremarkable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments
from evengrad.theory.mean_field import Initialisation


@dataclass(frozen=True)
class NullBand:
    """Distribution over seeds of log10 of a gradient's norm, relative to its mean-field value, in decades.

    Attributes:
        bias: Mean; negative, since the typical net lies below the average one.
        deviation: Standard deviation.
    """

    bias: float
    deviation: float

    def interval(self, sigmas: float = 3.0) -> tuple[float, float]:
        """Return the ends of the band that many standard deviations wide on each side."""
        return self.bias - sigmas * self.deviation, self.bias + sigmas * self.deviation


def forward_fluctuation(activation: Activation, q: float = 1.0) -> float:
    """Return c = E phi^4 / (E phi^2)^2 - 1, so that one layer of n units multiplies E |x|^4 / (E |x|^2)^2 by 1 + c/n.

    5 for ReLU, 2 for the identity; 0 for a layer that is silent at this variance.

    Source:
        Hanin and Rolnick, NeurIPS 2018, for ReLU; the general constant follows from one unit's contribution.
    """
    m = moments(activation, q)
    return m.fourth / m.square**2 - 1 if m.square > 0 else 0.0


def backward_fluctuation(activation: Activation, q: float = 1.0) -> float:
    """Return c = 3 E phi'^4 / (E phi'^2)^2 - 1, the same for the gradient; equal to the forward one for (leaky) ReLU.

    Source:
        Hanin, NeurIPS 2018 (for ReLU); the 3 is the kurtosis of a Gaussian back-propagated gradient.
    """
    m = moments(activation, q)
    return 3 * m.slope_fourth / m.slope_square**2 - 1 if m.slope_square > 0 else 0.0


def moment_ratio(fluctuation: float, widths: Sequence[int]) -> float:
    """Return E |x|^4 / (E |x|^2)^2 after layers of the given widths, prod(1 + c / n).

    Source:
        Hanin and Rolnick, NeurIPS 2018, theorem 5 (exact for ReLU at He variance).
    """
    return math.prod(1 + fluctuation / width for width in widths)


@dataclass(frozen=True)
class LayerNoise:
    """What the finite width of one layer of a chain adds to the spread of a gradient that passes it.

    Attributes:
        width: Units.
        backward: ``backward_fluctuation``: relative variance, times the width, of what passes the activation backwards.
        forward: ``forward_fluctuation``: the same for the variance handed to the next layer.
        joint: Their covariance, times the width.
        share: Part of the next layer's variance that comes from this layer, the rest being bias.
        elasticity: d ln q_next / d ln q.
        sensitivity: d ln chi / d ln q.
    """

    width: int
    backward: float
    forward: float
    joint: float
    share: float
    elasticity: float
    sensitivity: float


def layer_noise(activation: Activation, q: float, following: Initialisation, width: int) -> LayerNoise:
    """Return the noise of a layer with pre-activation variance ``q`` that is followed by weights as given."""
    m = moments(activation, q)
    handed = following.weight_variance * m.square
    total = handed + following.bias_variance
    if m.slope_square == 0 or m.square == 0 or total == 0:
        return LayerNoise(width, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return LayerNoise(
        width=width,
        backward=backward_fluctuation(activation, q),
        forward=forward_fluctuation(activation, q),
        joint=m.joint / (m.square * m.slope_square) - 1,
        share=handed / total,
        elasticity=following.weight_variance * m.square_growth * q / total,
        sensitivity=m.slope_square_growth * q / m.slope_square,
    )


def null_band(layers: Sequence[LayerNoise]) -> NullBand:
    """Return the band of log10 of a gradient's norm over the layers that it passes.

    The logarithm of the squared norm is close to normal. Scale-invariant layers add c / n each to its variance, and
    half of that, negative, to its mean. Others respond to the variance q as well, which itself strays: a deviation made
    by one layer is handed on with its elasticity and changes every later factor by its sensitivity. (For GELU the
    variance is unstable, and this part is the larger.) For nets as deep as wide the true deviation is some 10 % larger.

    Args:
        layers: The layers whose activations the gradient passes, first layer first; a width of 0 counts as infinite.

    Source:
        Hanin and Rolnick, NeurIPS 2018 (the sum of 1/n decides); Hanin and Nica, Communications in Mathematical Physics
        2020 (log-normal limit). The response to q is our own first-order expansion.
    """
    direct = total = response = 0.0
    for layer in reversed(layers):
        # response: d ln of all later factors / d ln of the variance that this layer hands on.
        weight = response * layer.share
        if layer.width > 0:
            direct += layer.backward / layer.width
            total += (layer.backward + 2 * weight * layer.joint + weight**2 * layer.forward) / layer.width
        response = layer.sensitivity + layer.elasticity * response
    return NullBand(bias=-direct / (4 * math.log(10)), deviation=math.sqrt(max(total, 0.0)) / (2 * math.log(10)))
