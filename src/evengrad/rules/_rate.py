"""Whether a network that began sound was wrecked by steps that were too long for its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._weights import largest_updates, matrices

SOUND = (-3.0, 1.7)  # decades across depth or time; theory page, criteria: nets that trained lie in [-2.86, +1.60]
TOO_LONG = 0.3  # relative update of a weight tensor in one step, "1"; theory page, criteria: first step above .3


@dataclass(frozen=True)
class Wreck:
    """The largest relative update of a weight tensor ("1"; 0 when none was measured), and the highest learning rate."""

    ratio: float
    rate: float

    @property
    def evident(self) -> bool:
        """Whether an update was so large that it explains everything after it."""
        return self.ratio > TOO_LONG


def wreck(trace: Trace, start: float) -> Wreck | None:
    """Return how hard training has hit a network; None for one whose gradient was not sound at the first probe.

    Args:
        trace: The run.
        start: Attenuation across depth or time at the first probe, in decades.
    """
    if not SOUND[0] <= start <= SOUND[1]:
        return None
    ratio = max((update.ratio for update in largest_updates(trace)), default=0.0)
    return Wreck(ratio, highest_rate(trace))


def highest_rate(trace: Trace) -> float:
    """Return the highest learning rate of the run; nan when none is known."""
    rates = [trace.get(Statistic.LEARNING_RATE, group).finite for group in trace.subjects(Statistic.LEARNING_RATE)]
    return max((float(rate.values.max()) for rate in rates if len(rate)), default=math.nan)


def weight_shrinkage(trace: Trace) -> float:
    """Return by how many decades the typical weight tensor has shrunk since its first measurement; 0 when none has."""
    shrunk = []
    for name in matrices(trace):
        sizes = trace.get(Statistic.WEIGHT_RMS, name).finite
        if len(sizes) and sizes.first() > 0 and sizes.last() > 0:
            shrunk.append(math.log10(sizes.first() / sizes.last()))
    return max(0.0, float(np.median(shrunk))) if shrunk else 0.0
