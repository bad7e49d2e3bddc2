"""The later part of a run: what still holds there is a fault, what is gone by then was a beginning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from evengrad.core.trace import Series

LATER_HALF = 0.5
FAILING_SHARE = 0.25  # of a run that goes nowhere: long enough to have kept it from learning; own choice


def late(series: Series, share: float = LATER_HALF) -> Series:
    """Return the finite points in the last ``share`` of the measured steps.

    Step 0 is among them only when nothing later was measured: zero-initialised heads and adapters, and running averages
    that start empty, look broken at step 0 and are not.
    """
    finite = series.finite
    return finite.between(late_step(finite.steps.tolist(), share), 1 << 62)


def late_step(steps: list[int], share: float = LATER_HALF) -> int:
    """Return the first step that counts as late, among the steps at which something was measured."""
    return int(np.ceil((1 - share) * max(steps))) if steps else 0


def typical(steps: Sequence[int], values: Sequence[float], *, failing: bool) -> int:
    """Return the index of the measurement that speaks for a row, each counting for the steps that it lies nearest to.

    Args:
        steps: Steps of the measurements, ascending.
        values: What was measured; low is bad.
        failing: The run goes nowhere. Then the lowest quarter of all but step 0 counts: what held for a quarter of the
            run may have kept it from learning. Otherwise the median of the later half counts.

    Returns:
        An index into ``steps``.
    """
    begin = min(1, steps[-1]) if failing else late_step(list(steps))
    indices = [index for index, step in enumerate(steps) if step >= begin]
    middles = [(steps[a] + steps[b]) / 2 for a, b in pairwise(indices)]
    ends = np.asarray([steps[indices[0]] - 0.5, *middles, steps[indices[-1]] + 0.5])
    ranked = sorted(range(len(indices)), key=lambda position: values[indices[position]])
    covered = np.cumsum(np.diff(ends)[ranked]) / (ends[-1] - ends[0])
    return indices[ranked[int(np.searchsorted(covered, FAILING_SHARE if failing else 0.5))]]


def late_median(series: Series, share: float = LATER_HALF) -> float:
    """Return the median of the later part; nan when there is none."""
    return late(series, share).median()
