"""Smooth activations by name. Each builder's parameters, names and defaults are those of torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from evengrad.theory._arrays import Array, RealFunction


class Shape(NamedTuple):
    """An element-wise function, its derivative, its kinks (jumps included) and its jumps."""

    value: RealFunction
    derivative: RealFunction
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()


Builder = Callable[..., Shape]

# scipy carries no types.
expit: RealFunction = special.expit
log_expit: RealFunction = special.log_expit
_ndtr: RealFunction = special.ndtr
_erf: RealFunction = special.erf


def normal_density(x: Array) -> Array:
    """Density of the standard normal distribution."""
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def identity() -> Shape:
    """x."""
    return Shape(lambda x: x, np.ones_like)


def tanh() -> Shape:
    """Hyperbolic tangent."""
    return Shape(np.tanh, _sech_squared)


def sigmoid() -> Shape:
    """1 / (1 + exp(-x))."""
    return Shape(expit, lambda x: expit(x) * expit(-x))


def logsigmoid() -> Shape:
    """log sigmoid(x)."""
    return Shape(log_expit, lambda x: expit(-x))


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Shape:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold."""

    def value(x: Array) -> Array:
        return np.where(beta * x > threshold, x, -log_expit(-beta * x) / beta)

    def derivative(x: Array) -> Array:
        return np.where(beta * x > threshold, 1.0, expit(beta * x))

    kink = threshold / beta
    jump = math.log1p(math.exp(-threshold)) / beta
    return Shape(value, derivative, (kink,), (kink,) if jump > 1e-6 else ())


def silu() -> Shape:
    """x sigmoid(x), also called swish."""
    return Shape(lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x)))


def quick_gelu() -> Shape:
    """x sigmoid(1.702 x)."""

    def derivative(x: Array) -> Array:
        return expit(1.702 * x) * (1 + 1.702 * x * expit(-1.702 * x))

    return Shape(lambda x: x * expit(1.702 * x), derivative)


def gelu(approximate: str = "none") -> Shape:
    """x Phi(x), or its tanh approximation."""
    if approximate == "none":
        return Shape(lambda x: x * _ndtr(x), lambda x: _ndtr(x) + x * normal_density(x))
    if approximate != "tanh":
        raise ValueError(f"expected approximate='none' or 'tanh', got {approximate!r}")
    scale, cubic = math.sqrt(2 / math.pi), 0.044715

    def value(x: Array) -> Array:
        # 1 + tanh(u) cancels for negative u; it is 2 sigmoid(2 u).
        return x * expit(2 * scale * (x + cubic * x**3))

    def derivative(x: Array) -> Array:
        inner = 2 * scale * (x + cubic * x**3)
        slope = 2 * scale * (1 + 3 * cubic * x**2)
        return expit(inner) * (1 + x * slope * expit(-inner))

    return Shape(value, derivative)


def mish() -> Shape:
    """x tanh(softplus(x))."""

    def derivative(x: Array) -> Array:
        softened = -log_expit(-x)
        return np.tanh(softened) + x * expit(x) * _sech_squared(softened)

    return Shape(lambda x: x * np.tanh(-log_expit(-x)), derivative)


def softsign() -> Shape:
    """x / (1 + |x|); its curvature jumps at 0."""
    return Shape(lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2, (0.0,))


def tanhshrink() -> Shape:
    """x - tanh(x)."""

    def value(x: Array) -> Array:
        # The difference cancels near 0, where the series to x^13 is exact to rounding.
        square = np.minimum(x**2, 0.04)
        series = 1 / 3 - square * (
            2 / 15 - square * (17 / 315 - square * (62 / 2835 - square * (1382 / 155925 - square * 21844 / 6081075)))
        )
        return np.where(np.abs(x) < 0.1, x * x**2 * series, x - np.tanh(x))

    return Shape(value, lambda x: np.tanh(x) ** 2)


def erf() -> Shape:
    """Error function."""
    return Shape(_erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2)))


def sin() -> Shape:
    """Sine."""
    return Shape(np.sin, np.cos)


def _sech_squared(x: Array) -> Array:
    tail: Array = np.exp(-2 * np.abs(x))
    square: Array = 4 * tail / (1 + tail) ** 2
    return square


SMOOTH: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        identity, tanh, sigmoid, logsigmoid, softplus, silu, quick_gelu, gelu, mish, softsign, tanhshrink, erf, sin,
    )
}  # fmt: skip
