"""The later part of a run: what still holds there is a fault, what is gone by then was a beginning."""

from __future__ import annotations

import numpy as np

from evengrad.core.trace import Series

LATER_HALF = 0.5


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


def late_median(series: Series, share: float = LATER_HALF) -> float:
    """Return the median of the later part; nan when there is none."""
    return late(series, share).median()
