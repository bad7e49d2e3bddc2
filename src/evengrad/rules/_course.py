"""The loss as a signal: its noise from step to step, its running level, how far it jumped."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

_FEWEST = 5  # losses in a quarter below which nothing is said
_SIGNIFICANT = 3.0  # standard errors

Floats = npt.NDArray[np.float64]


def running_median(values: Floats, window: int) -> Floats:
    """Return the median of each value and up to ``window - 1`` values before it."""
    if len(values) == 0 or window <= 1:
        return values
    padded = np.concatenate([np.full(window - 1, np.nan), values])
    return np.asarray(np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1))


def step_noise(values: Floats) -> float:
    """Return the standard deviation of the noise from one value to the next, robust against a few jumps."""
    differences = np.abs(np.diff(values))
    return 1.4826 * float(np.median(differences)) / math.sqrt(2) if len(differences) else 0.0


def highest_rise(trace: Trace) -> float:
    """Return the largest finite loss over the first one; nan when that is not positive or nothing was seen."""
    values = trace.get(Statistic.LOSS).finite.values
    return float(values.max() / values[0]) if len(values) and values[0] > 0 else math.nan


def levelled_off(trace: Trace) -> bool:
    """Return whether the loss of the last quarter of a run is no lower than that of its second quarter."""
    values = trace.get(Statistic.LOSS).finite.values
    quarter = len(values) // 4
    if quarter < _FEWEST:
        return False
    earlier, later = values[quarter : 2 * quarter], values[-quarter:]
    error = _SIGNIFICANT * 1.25 * step_noise(values[quarter:]) * math.sqrt(2 / quarter)
    return float(np.median(earlier) - np.median(later)) <= error
