"""Make an `Activation` of any callable: find out what it eats, where it has kinks, and its derivative."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from evengrad.theory import _torch
from evengrad.theory._arrays import Array, RealFunction
from evengrad.theory.activation import Activation
from evengrad.theory.pieces import Kink, Pieces, find_kinks, resolve

_logger = logging.getLogger(__name__)

SEARCHED = 64.0  # kinks are looked for in [-64, 64]
_TOLERANCES = (1e-13, 1e-10, 1e-6)  # float64, float64 with cancellation, float32 inside
# No value repeats, none is a usual kink, and both signs come up, so that `x if x > 0 else ...` fails on the array.
_TRIAL_POINTS: Array = np.array([-2.71, -0.53, 0.31, 0.97, 1.83])


def wrap_callable(function: Callable[..., object], name: str) -> Activation:
    """Return the `Activation` of an element-wise callable on arrays, tensors or single floats.

    Raises:
        ValueError: The callable takes none of these, is random, not element-wise, not finite or not piecewise smooth.
    """
    value, derivative, slow = _adapt(function, name)
    kinks, tolerance = _find_kinks(value, name)
    if derivative is None:
        pieces = _piecewise(value, tuple(kink.position for kink in kinks), tolerance)
        derivative = lambda x: pieces(x).derivative(x)  # noqa: E731
        if slow:
            value = lambda x: pieces(x).value(x)  # noqa: E731
    return Activation(
        name=name,
        value=value,
        derivative=derivative,
        kinks=tuple(kink.position for kink in kinks),
        jumps=tuple(kink.position for kink in kinks if kink.order == 0),
        tolerance=tolerance,
    )


def _adapt(function: Callable[..., object], name: str) -> tuple[RealFunction, RealFunction | None, bool]:
    """Try the callable on an array, a tensor and single floats, in this order; say whether it is slow."""

    def on_array(x: Array) -> Array:
        return np.asarray(function(x), dtype=np.float64)

    def on_floats(x: Array) -> Array:
        return np.array([float(function(float(point))) for point in x])  # type: ignore[arg-type]

    failures: list[str] = []
    for kind in ("array", "tensor", "floats"):
        # A callable that needs torch has imported it by now, at the latest when it was tried on an array.
        if kind == "tensor" and "torch" not in sys.modules:
            continue
        value, derivative = {"array": (on_array, None), "floats": (on_floats, None)}.get(kind) or _torch.evaluators(
            function
        )
        try:
            with np.errstate(all="ignore"):
                outputs = [value(points) for points in (_TRIAL_POINTS, _TRIAL_POINTS, _TRIAL_POINTS[::-1][1:4].copy())]
        except Exception as error:
            _logger.debug("activation %s does not take %s", name, kind, exc_info=True)
            failures.append(f"{type(error).__name__}: {error}")
        else:
            _check_elementwise(name, *outputs)
            return value, derivative, kind == "floats"
    reasons = "; ".join(dict.fromkeys(failures))
    raise ValueError(f"expected an activation that takes arrays, tensors or floats; {name} fails: {reasons}")


def _check_elementwise(name: str, first: Array, second: Array, reversed_part: Array) -> None:
    if first.shape != _TRIAL_POINTS.shape:
        raise ValueError(
            f"expected an element-wise activation, {name} maps shape {_TRIAL_POINTS.shape} to {first.shape}"
        )
    if not np.array_equal(first, second, equal_nan=True):
        raise ValueError(f"expected a deterministic activation, two calls of {name} on the same input differ")
    if not np.allclose(first[::-1][1:4], reversed_part, rtol=1e-6, atol=0, equal_nan=True):
        raise ValueError(
            f"expected an element-wise activation, an output of {name} depends on other inputs than its own"
        )


def _find_kinks(value: RealFunction, name: str) -> tuple[tuple[Kink, ...], float]:
    for tolerance in _TOLERANCES[:-1]:
        try:
            return find_kinks(value, -SEARCHED, SEARCHED, tolerance=tolerance), tolerance
        except ValueError as error:
            _logger.debug("activation %s at tolerance %g: %s", name, tolerance, error)
    return find_kinks(value, -SEARCHED, SEARCHED, tolerance=_TOLERANCES[-1]), _TOLERANCES[-1]


def _piecewise(value: RealFunction, kinks: tuple[float, ...], tolerance: float) -> Callable[[Array], Pieces]:
    """Return a function that gives the Chebyshev series of ``value`` over a range that covers its argument."""

    @lru_cache(maxsize=64)
    def over(exponent: int) -> Pieces:
        reach = 2.0**exponent
        return resolve(value, -reach, reach, splits=[kink for kink in kinks if abs(kink) < reach], tolerance=tolerance)

    def covering(x: Array) -> Pieces:
        reach = max(float(np.abs(x).max(initial=0.0)), 2.0**-200)
        return over(int(np.ceil(np.log2(reach))))

    return covering
