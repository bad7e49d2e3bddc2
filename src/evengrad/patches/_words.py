"""How numbers are written into source."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Return a number so that Python reads the very same one."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def product(value: float, factor: float) -> float:
    """Return a product to six significant digits, as a person would write it."""
    return float(f"{value * factor:.6g}")
