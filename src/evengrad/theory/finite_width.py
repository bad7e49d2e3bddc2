"""How far a net of finite width may stray from mean-field theory: the band within which a gradient is unremarkable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments


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


def null_band(fluctuations: Sequence[float], widths: Sequence[int]) -> NullBand:
    """Return the band of log10 of a gradient's norm over the layers that it passes.

    The logarithm of the squared norm is close to normal, with variance sum c/n and minus half of that as its mean. For
    nets as deep as wide the true variance is some 10 % larger.

    Args:
        fluctuations: ``backward_fluctuation`` of each layer passed.
        widths: Units of each.

    Raises:
        ValueError: The two differ in length.

    Source:
        Hanin and Rolnick, NeurIPS 2018 (the sum of 1/n decides); Hanin and Nica, Communications in Mathematical Physics
        2020 (log-normal limit).
    """
    variance = sum(c / width for c, width in zip(fluctuations, widths, strict=True))
    return NullBand(bias=-variance / (4 * math.log(10)), deviation=math.sqrt(variance) / (2 * math.log(10)))
