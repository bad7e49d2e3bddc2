"""What each floating-point format can hold, and what an update or a gradient loses in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evengrad.errors import UsageError


@dataclass(frozen=True)
class NumberFormat:
    """A binary floating-point format.

    Attributes:
        name: torch's name without the prefix, ``"bfloat16"``.
        precision: Bits of the significand, the hidden one included.
        largest: Largest finite number.
        smallest_normal: Smallest positive number of full precision.
    """

    name: str
    precision: int
    largest: float
    smallest_normal: float

    @property
    def epsilon(self) -> float:
        """Distance from 1 to the next larger number."""
        return 2.0 ** (1 - self.precision)

    @property
    def smallest(self) -> float:
        """Smallest positive (subnormal) number."""
        return self.smallest_normal * self.epsilon

    @property
    def underflow(self) -> float:
        """Numbers up to this size round to 0: half the smallest one (for float64 itself 0)."""
        return self.smallest / 2

    @property
    def half_ulp(self) -> tuple[float, float]:
        """Relative size of half a unit in the last place, smallest and largest.

        An update below the first fraction of a weight is always lost, one above the second never.
        """
        return 2.0 ** -(self.precision + 1), 2.0**-self.precision


def _ieee(name: str, precision: int, exponent_bits: int) -> NumberFormat:
    bias = 2 ** (exponent_bits - 1) - 1
    return NumberFormat(name, precision, (2 - 2.0 ** (1 - precision)) * 2.0**bias, 2.0 ** (1 - bias))


_FORMATS = {
    found.name: found
    for found in (
        _ieee("float16", 11, 5),
        _ieee("bfloat16", 8, 8),
        _ieee("float32", 24, 8),
        _ieee("float64", 53, 11),
        _ieee("float8_e5m2", 3, 5),
        NumberFormat("float8_e4m3fn", 4, 448.0, 2.0**-6),  # no infinities: their codes hold numbers
    )
}


def number_format(name: str) -> NumberFormat:
    """Return a format by torch's name, with or without ``"torch."``.

    Raises:
        UsageError: The name is unknown.

    Source:
        IEEE 754-2019; Micikevicius et al., FP8 formats for deep learning, 2022.
    """
    found = _FORMATS.get(name.removeprefix("torch."))
    if found is None:
        raise UsageError(f"unknown number format '{name}' (known: {', '.join(_FORMATS)})")
    return found


def loss_scale(number: NumberFormat, largest_gradient: float) -> float:
    """Return the largest power of two by which a gradient may be multiplied without overflow.

    Args:
        number: Format that the gradient is kept in.
        largest_gradient: Size of its largest entry, unscaled, positive.

    Raises:
        ValueError: ``largest_gradient`` is not positive and finite.

    Source:
        Micikevicius et al., Mixed precision training, ICLR 2018, section 3.2.
    """
    if not (largest_gradient > 0 and math.isfinite(largest_gradient)):
        raise ValueError(f"expected a positive finite gradient, got {largest_gradient}")
    return 2.0 ** math.floor(math.log2(number.largest) - math.log2(largest_gradient))


def underflow_share(number: NumberFormat, rms: float) -> float:
    """Return the share of the entries of a Gaussian gradient that round to 0.

    Args:
        number: Format that the gradient is kept in.
        rms: Root mean square of the gradient's entries, after any loss scale.
    """
    return math.erf(number.underflow / (rms * math.sqrt(2))) if rms > 0 else 1.0
