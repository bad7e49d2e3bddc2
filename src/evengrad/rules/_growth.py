"""Growth over training steps: gradients and loss that climb by orders of magnitude."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace

_WINDOW = 3  # points that a level rests on: one spike is not a level


@dataclass(frozen=True)
class Growth:
    """By how many decades the gradient norm and the loss have grown, up to their last finite values.

    ``first_step`` is the step from which on the norm stays above the geometric middle of its rise.
    """

    gradient: float
    loss: float
    first_step: int
    last_step: int


def growth(trace: Trace) -> Growth | None:
    """Return how gradient norm and loss have grown from their lowest level to the end; None where that cannot be told.

    Both must have been rising when they were last finite: what has come down again was a spike.
    """
    norms = trace.get(Statistic.GRAD_NORM).finite
    losses = trace.get(Statistic.LOSS).finite
    if len(norms) < 2 or len(losses) < 2:
        return None
    gradient, loss = _rise(norms), _rise(losses)
    if math.isnan(gradient) or math.isnan(loss):
        return None
    middle = math.sqrt(_lowest(norms) * float(norms.values[-1]))
    below = np.flatnonzero(norms.values < middle)
    begin = int(below[-1]) + 1 if len(below) else 0
    return Growth(gradient, loss, int(norms.steps[min(begin, len(norms) - 1)]), int(norms.steps[-1]))


def _rise(series: Series) -> float:
    """Return the decades from the lowest early level to the end; nan for values that are not positive.

    The end is the lowest of the last few values, so that a single spike at the end is none.
    """
    lowest, end = _lowest(series), float(series.values[-min(_WINDOW, max(1, len(series) // 2)) :].min())
    return math.log10(end / lowest) if lowest > 0 and end > 0 else math.nan


def _lowest(series: Series) -> float:
    """Return the lowest running median, the level that the series rose from."""
    values = series.values
    if len(values) < 2 * _WINDOW:
        return float(values.min())
    windows = np.lib.stride_tricks.sliding_window_view(values, _WINDOW)
    return float(np.median(windows, axis=1).min())
