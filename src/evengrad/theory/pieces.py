"""Cut the axis into panels on each of which a function is a polynomial to rounding; find its kinks and jumps.

Gauss-Legendre quadrature is exact on polynomials and poor across a kink. Everything that integrates an activation
therefore first asks here where the panels are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from evengrad.theory._arrays import Array, IntArray, RealFunction

NODES = 16
TOLERANCE = 1e-13
MOST_PANELS = 150_000
_FINEST_STEP = 0.25  # panels are at most this coarse round the origin before any adaptation
_FAR_SHARE = 1e-6  # what is smaller than this share of the largest value need not be resolved to its own scale
_INSIDE = 1.0 - 1e-9  # nodes stay inside their panel: the end of a panel may be a jump

_NODES_AT: Array = _INSIDE * np.cos(np.pi * np.arange(NODES - 1, -1, -1) / (NODES - 1))
_TO_COEFFICIENTS: Array = np.linalg.inv(np.asarray(chebyshev.chebvander(_NODES_AT, NODES - 1), dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Pieces:
    """A function as Chebyshev series on consecutive panels.

    Attributes:
        breakpoints: Ends of the panels in ascending order, ``[K + 1]``.
        coefficients: One Chebyshev series per panel, ``[K, NODES]``.
        errors: Bound on the error of the coefficients, ``[K]``.
    """

    breakpoints: Array
    coefficients: Array
    errors: Array

    def value(self, x: Array) -> Array:
        """Return the function at points within the panels."""
        panel, at, _ = self._locate(x)
        return _clenshaw(self.coefficients, panel, at)

    def derivative(self, x: Array) -> Array:
        """Return the derivative at points within the panels; at a breakpoint, that of the panel to the right."""
        panel, at, half = self._locate(x)
        slopes: Array = np.asarray(chebyshev.chebder(self.coefficients, axis=1), dtype=np.float64)
        return _clenshaw(slopes, panel, at) / half

    def _locate(self, x: Array) -> tuple[IntArray, Array, Array]:
        last = len(self.breakpoints) - 2
        panel = np.clip(np.searchsorted(self.breakpoints, x, side="right") - 1, 0, last)
        left, right = self.breakpoints[panel], self.breakpoints[panel + 1]
        half = (right - left) / 2
        return panel, (x - (left + right) / 2) / half, half

    def jumps(self, order: int) -> tuple[Array, Array]:
        """Return by how much a derivative jumps at each inner breakpoint, and the noise there, both ``[K - 1]``."""
        half = np.diff(self.breakpoints) / 2
        series = chebyshev.chebder(self.coefficients, m=order, axis=1)
        at_left_end = chebyshev.chebval(-1.0, series.T) / half**order
        at_right_end = chebyshev.chebval(1.0, series.T) / half**order
        noise = self.errors * (NODES**2 / half) ** order
        return at_left_end[1:] - at_right_end[:-1], np.maximum(noise[:-1], noise[1:])


@dataclass(frozen=True)
class Kink:
    """A point where a function is not smooth.

    ``order`` is the lowest derivative that jumps there: 0 the function itself, 1 its slope, 2 its curvature.
    """

    position: float
    order: int


def resolve(
    function: RealFunction,
    low: float,
    high: float,
    *,
    splits: Sequence[float] = (),
    tolerance: float = TOLERANCE,
    noise: float = 0.0,
) -> Pieces:
    """Return ``[low, high]`` cut by bisection until the function is a polynomial of degree 15 on every panel.

    Args:
        function: Element-wise function, float64 ``[N]`` to float64 ``[N]``.
        low: Left end.
        high: Right end.
        splits: Known kinks and jumps; they become ends of panels.
        tolerance: Largest Chebyshev coefficient tolerated at the end of a series, relative to the function's size.
        noise: Absolute error of the function's values, which no panel is small enough to resolve.

    Raises:
        ValueError: The function is not finite, or needs more than ``MOST_PANELS`` panels.

    Source:
        Pachon, Platte and Trefethen, IMA J. Numer. Anal. 2010 (piecewise-smooth chebfuns); own tolerance.
    """
    ends = _first_breakpoints(low, high, splits)
    left, right = ends[:-1], ends[1:]
    finest = 2.0**-50 * np.maximum(np.abs(left), np.abs(right)).min()
    typical, eps = 0.0, float(np.finfo(np.float64).eps)
    done: list[tuple[Array, ...]] = []
    count = 0
    while len(left):
        middle, half = (left + right) / 2, (right - left) / 2
        points = middle[:, None] + half[:, None] * _NODES_AT
        values = _evaluate(function, points)
        size = np.abs(values).max(axis=1)
        if not done:
            typical = float(np.abs(values[np.abs(points) <= max(abs(low), abs(high)) / 8]).max(initial=0.0))
        typical = max(typical, _FAR_SHARE * float(size.max()))
        series = values @ _TO_COEFFICIENTS.T
        # The argument is rounded too: far out, sin(x) is known only to |x| eps.
        steepest = np.abs(np.diff(values, axis=1) / np.diff(_NODES_AT)).max(axis=1) / half
        rounding = 2 * eps * np.abs(points).max(axis=1) * steepest + noise
        tail = np.abs(series[:, -3:]).max(axis=1)
        smooth = tail <= tolerance * np.maximum(size, typical) + rounding
        smooth |= half <= np.maximum(finest, 2.0**-51 * np.abs(middle))
        done.append((left[smooth], right[smooth], series[smooth], (tail + rounding + 4 * eps * size)[smooth]))
        count += int(smooth.sum())
        left, middle, right = left[~smooth], middle[~smooth], right[~smooth]
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        if count + len(left) > MOST_PANELS:
            raise ValueError(f"expected a piecewise smooth function on [{low:g}, {high:g}]; it needs > {count} panels")
    lefts, rights, coefficients, errors = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.argsort(lefts)
    return Pieces(np.append(lefts[order], rights[order[-1]]), coefficients[order], errors[order])


def find_kinks(function: RealFunction, low: float, high: float, *, tolerance: float = TOLERANCE) -> tuple[Kink, ...]:
    """Return the points of ``[low, high]`` where a function, its slope or its curvature jumps.

    Bisection piles up tiny panels at a kink; the place of the pile, polished and made an end of panels, leaves large
    panels on both sides, and what jumps between their series there tells the order.

    Args:
        function: Element-wise function, float64 ``[N]`` to float64 ``[N]``.
        low: Left end.
        high: Right end.
        tolerance: As for ``resolve``.

    Raises:
        ValueError: The function is not finite or not piecewise smooth.

    Source:
        Own choice of criterion; ``tests/theory/test_pieces.py`` finds the kinks of every torch activation with it.
    """
    pieces = resolve(function, low, high, tolerance=tolerance)
    piles = _piles(pieces.breakpoints, smallest=1e-5 * (high - low))
    walls = [low, *((left + right) / 2 for left, right in piles), high]
    splits = [
        _polish(function, pile, room=min(pile[0] - walls[index], walls[index + 2] - pile[1]), tolerance=tolerance)
        for index, pile in enumerate(piles)
    ]
    pieces = resolve(function, low, high, splits=splits, tolerance=tolerance)
    kinks: dict[int, int] = {}
    for order in (2, 1, 0):
        jump, noise = pieces.jumps(order)
        kinks |= {int(index) + 1: order for index in np.flatnonzero(np.abs(jump) > 1e3 * noise)}
    return tuple(Kink(float(pieces.breakpoints[index]), order) for index, order in sorted(kinks.items()))


def _evaluate(function: RealFunction, points: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(function(points.ravel()), dtype=np.float64).reshape(points.shape)
    if not np.isfinite(values).all():
        at = points[~np.isfinite(values)][0]
        raise ValueError(f"expected an activation that is finite on the real axis; it is not at x = {at:g}")
    return values


def _clenshaw(coefficients: Array, panel: IntArray, at: Array) -> Array:
    """Sum the Chebyshev series of each point's panel; gathers one order at a time to stay in cache."""
    columns = np.ascontiguousarray(coefficients.T)
    newer: Array = np.zeros_like(at)
    older: Array = np.zeros_like(at)
    for column in columns[:0:-1]:
        newer, older = column[panel] + 2 * at * newer - older, newer
    total: Array = columns[0][panel] + at * newer - older
    return total


def _first_breakpoints(low: float, high: float, splits: Sequence[float]) -> Array:
    """Panels that grow by a factor of 4 away from the origin, cut at the known splits."""
    reach = max(abs(low), abs(high))
    steps = [reach / 4, reach / 16]
    while steps[-1] > _FINEST_STEP:
        steps.append(steps[-1] / 4)
    ends = {low, high, 0.0, *splits, *steps, *(-step for step in steps)}
    return np.array(sorted(end for end in ends if low <= end <= high))


def _piles(breakpoints: Array, smallest: float) -> list[tuple[float, float]]:
    """Brackets of the narrowest panels within each run of panels narrower than ``smallest``."""
    widths = np.diff(breakpoints)
    small = np.flatnonzero(widths < smallest)
    runs = np.split(small, np.flatnonzero(np.diff(small) > 1) + 1) if len(small) else []
    brackets = []
    for run in runs:
        narrowest = run[widths[run] <= 1.5 * widths[run].min()]
        brackets.append((float(breakpoints[narrowest[0]]), float(breakpoints[narrowest[-1] + 1])))
    return brackets


def _polish(function: RealFunction, pile: tuple[float, float], room: float, tolerance: float) -> float:
    """Place a kink where the series fitted on both sides of it cross; or, if they touch, where their slopes do."""
    low, high = pile
    middle = (low + high) / 2
    for width in (min(room, 1.0) / 4**step for step in range(1, 10)):
        left, right = _fit(function, low - width, low), _fit(function, high, high + width)
        size = max(np.abs(left.coef).max(), np.abs(right.coef).max())
        if max(np.abs(left.coef[-3:]).max(), np.abs(right.coef[-3:]).max()) > 10 * tolerance * size:
            continue
        gap = right - left.convert(domain=right.domain)
        if abs(gap(middle)) > 1e-6 * size:
            break  # a jump: bisection has already placed it to the last bit
        root = _meeting_point(gap, middle, reach=2 * (high - low), noise=1e3 * tolerance * size)
        slack = 1e-11 * max(1.0, abs(root))
        return _shortest_decimal(root - slack, root + slack)
    return _shortest_decimal(low, high)


def _meeting_point(gap: chebyshev.Chebyshev, near: float, reach: float, noise: float) -> float:
    """Return the place near a point where a gap closes: where it touches 0 if it does, else where it crosses 0."""
    slope, curvature = gap.deriv()(near), gap.deriv(2)(near)
    if abs(curvature) * reach > abs(slope):
        touching = near - slope / curvature
        touching -= gap.deriv()(touching) / gap.deriv(2)(touching)
        if abs(gap(touching)) <= noise:
            return float(touching)
    for _ in range(3):
        near -= gap(near) / gap.deriv()(near)
    return float(near)


def _fit(function: RealFunction, low: float, high: float) -> chebyshev.Chebyshev:
    points = (low + high) / 2 + (high - low) / 2 * _NODES_AT
    return chebyshev.Chebyshev(_TO_COEFFICIENTS @ _evaluate(function, points), domain=[low, high])


def _shortest_decimal(low: float, high: float) -> float:
    middle = (low + high) / 2
    for digits in range(9):
        rounded = round(middle, digits)
        if low <= rounded <= high:
            return rounded
    return middle
