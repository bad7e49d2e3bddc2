"""What theory needs to know of an activation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from evengrad.theory._arrays import Array, RealFunction
from evengrad.theory.pieces import resolve


@dataclass(frozen=True, eq=False)
class Activation:
    """An element-wise function, its derivative and where neither is smooth. Compared by identity.

    Attributes:
        name: What people call it, ``"leaky_relu"``.
        value: The function, float64 ``[N]`` to float64 ``[N]``.
        derivative: Its derivative wherever it has one, as backpropagation uses it.
        kinks: Every point where a derivative of any order jumps, ascending; includes ``jumps``.
        jumps: Points where the function itself jumps.
        parameters: Parameters by name, as given or by default.
        tolerance: Relative error to which its panels are resolved.
        noise: Absolute error of its values.
    """

    name: str
    value: RealFunction
    derivative: RealFunction
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    parameters: tuple[tuple[str, float | str], ...] = ()
    tolerance: float = field(default=1e-13, repr=False)
    noise: float = field(default=0.0, repr=False)

    @property
    def label(self) -> str:
        """Name with parameters, ``"leaky_relu(negative_slope=0.01)"``."""
        inside = ", ".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.name}({inside})" if inside else self.name


def shift(activation: Activation, offset: float) -> Activation:
    """Return the activation minus a constant.

    Source:
        Own derivation, see ``criticality.edge_of_chaos``: subtracting the mean removes the only obstacle there is.
    """
    value = activation.value
    return replace(
        activation,
        name=f"{activation.name} - {offset:.6g}",
        value=lambda x: value(x) - offset,
        noise=activation.noise + 4 * float(np.finfo(np.float64).eps) * abs(offset),  # what the difference cancels
    )


def breakpoints(activation: Activation, reach: float) -> Array:
    """Return ends of panels over ``[-reach, reach]``, on each of which the activation is a polynomial to rounding."""
    return _breakpoints(activation, int(np.ceil(np.log2(reach))))


@lru_cache(maxsize=512)
def _breakpoints(activation: Activation, exponent: int) -> Array:
    reach = 2.0**exponent
    splits = [kink for kink in activation.kinks if -reach < kink < reach]
    return resolve(
        activation.value, -reach, reach, splits=splits, tolerance=activation.tolerance, noise=activation.noise
    ).breakpoints
