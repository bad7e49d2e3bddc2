"""Activations with kinks or jumps, by name. Each builder's parameters, names and defaults are those of torch."""

from __future__ import annotations

import numpy as np

from evengrad.theory._arrays import Array
from evengrad.theory._smooth import Builder, Shape

_SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al., NeurIPS 2017, equation 14
_SELU_SCALE = 1.0507009873554804934193349852946


def relu() -> Shape:
    """max(x, 0)."""
    return leaky_relu(0.0)


def leaky_relu(negative_slope: float = 0.01) -> Shape:
    """X above 0, negative_slope x below."""
    return Shape(
        lambda x: np.where(x > 0, x, negative_slope * x), lambda x: np.where(x > 0, 1.0, negative_slope), (0.0,)
    )


def prelu(init: float = 0.25) -> Shape:
    """Leaky ReLU with a learned slope, at its initial value."""
    return leaky_relu(init)


def rrelu(lower: float = 1 / 8, upper: float = 1 / 3) -> Shape:
    """Leaky ReLU with a random slope, as evaluated after training: with its mean slope."""
    return leaky_relu((lower + upper) / 2)


def relu6() -> Shape:
    """X between 0 and 6."""
    return hardtanh(0.0, 6.0)


def hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> Shape:
    """X cut off at min_val and max_val."""
    return Shape(
        lambda x: np.clip(x, min_val, max_val),
        lambda x: np.where((x > min_val) & (x < max_val), 1.0, 0.0),
        (min_val, max_val),
    )


def hardsigmoid() -> Shape:
    """X / 6 + 1/2 cut off at 0 and 1."""
    return Shape(lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: np.where((x > -3) & (x < 3), 1 / 6, 0.0), (-3.0, 3.0))


def hardswish() -> Shape:
    """X hardsigmoid(x)."""

    def derivative(x: Array) -> Array:
        return np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x / 3 + 0.5))

    return Shape(lambda x: x * np.clip(x + 3, 0, 6) / 6, derivative, (-3.0, 3.0))


def elu(alpha: float = 1.0) -> Shape:
    """X above 0, alpha (exp(x) - 1) below."""
    return Shape(
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
        (0.0,),
    )


def celu(alpha: float = 1.0) -> Shape:
    """X above 0, alpha (exp(x / alpha) - 1) below."""
    return Shape(
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / alpha)),
        (0.0,),
    )


def selu() -> Shape:
    """Scaled ELU with a stable fixed point at mean 0 and variance 1."""
    inner = elu(_SELU_ALPHA)
    return Shape(lambda x: _SELU_SCALE * inner.value(x), lambda x: _SELU_SCALE * inner.derivative(x), inner.kinks)


def softshrink(lambd: float = 0.5) -> Shape:
    """X moved towards 0 by lambd."""
    return Shape(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
        lambda x: np.where(np.abs(x) > lambd, 1.0, 0.0),
        (-lambd, lambd),
    )


def hardshrink(lambd: float = 0.5) -> Shape:
    """X where it exceeds lambd in size, 0 elsewhere; jumps."""
    ends = (-lambd, lambd)
    return Shape(
        lambda x: np.where(np.abs(x) > lambd, x, 0.0), lambda x: np.where(np.abs(x) > lambd, 1.0, 0.0), ends, ends
    )


def threshold(threshold: float = 0.0, value: float = 0.0) -> Shape:
    """X above the threshold, value elsewhere; jumps unless they are equal."""
    return Shape(
        lambda x: np.where(x > threshold, x, value),
        lambda x: np.where(x > threshold, 1.0, 0.0),
        (threshold,),
        (threshold,) if value != threshold else (),
    )


def relu_squared() -> Shape:
    """max(x, 0) squared."""
    return Shape(lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0), (0.0,))


KINKED: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        relu, leaky_relu, prelu, rrelu, relu6, hardtanh, hardsigmoid, hardswish, elu, celu, selu, softshrink,
        hardshrink, threshold, relu_squared,
    )
}  # fmt: skip
