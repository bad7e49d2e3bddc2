"""The one-dimensional Gaussian averages that every mean-field quantity is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evengrad.theory.activation import Activation
from evengrad.theory.quadrature import gaussian_rule


@dataclass(frozen=True)
class Moments:
    """Averages over a pre-activation ``h`` of mean 0 and variance ``q``; x = phi(h).

    Attributes:
        q: Variance of the pre-activation.
        mean: E phi(h).
        square: E phi(h)^2.
        fourth: E phi(h)^4.
        slope_square: E phi'(h)^2, without the impulses that jumps would add.
        slope_fourth: E phi'(h)^4.
        square_growth: d/dq E phi(h)^2; holds at kinks and jumps.
        slope_square_growth: d/dq E phi'(h)^2.
        joint: E phi(h)^2 phi'(h)^2.
    """

    q: float
    mean: float
    square: float
    fourth: float
    slope_square: float
    slope_fourth: float
    square_growth: float
    slope_square_growth: float
    joint: float

    @property
    def variance(self) -> float:
        """Variance of phi(h)."""
        return max(self.square - self.mean**2, 0.0)


@lru_cache(maxsize=8192)
def moments(activation: Activation, q: float) -> Moments:
    """Return the averages of an activation over a Gaussian pre-activation.

    Args:
        activation: The activation.
        q: Variance of the pre-activation, positive.

    Raises:
        ValueError: ``q`` is out of range, or the activation grows too fast to have a second moment.

    Source:
        Poole et al., NeurIPS 2016; Schoenholz et al., ICLR 2017. The growth is integrated by parts,
        d/dq E f(h) = E f(h) (z^2 - 1) / 2q.
    """
    rule = gaussian_rule(activation, q)
    values, slopes = activation.value(rule.x), activation.derivative(rule.x)
    squares, slope_squares = values**2, slopes**2
    by_parts = (rule.z**2 - 1) / (2 * q)
    # A constant drops out exactly; subtracting it keeps small variances from cancelling.
    at_zero = float(activation.value(np.zeros(1))[0]) ** 2
    return Moments(
        q=q,
        mean=rule.expect(values),
        square=rule.expect(squares),
        fourth=rule.expect(squares**2),
        slope_square=rule.expect(slope_squares),
        slope_fourth=rule.expect(slope_squares**2),
        square_growth=rule.expect((squares - at_zero) * by_parts),
        slope_square_growth=rule.expect((slope_squares - float(slope_squares.mean())) * by_parts),
        joint=rule.expect(squares * slope_squares),
    )
