"""Bounds for clipping from the run's own gradients, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.core.finding import Finding
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Floats, Trace
from evengrad.remedies._facts import rounded

_FEWEST = 5  # norms before a finding that make a healthy past


@dataclass(frozen=True)
class Cost:
    """What a bound does to the gradients of a run: share of steps it acts on, mean factor left on those, both "1"."""

    rate: float
    kept: float

    @property
    def cut(self) -> float:
        """Mean factor on the gradient over all steps: for SGD, on the learning rate."""
        return 1 - self.rate * (1 - self.kept)


def healthy_norms(trace: Trace, finding: Finding | None) -> Floats:
    """Return the global norms that a bound may rest on: those before the finding; without a past, all finite ones.

    Unscaled and before clipping, whatever the run did with them.
    """
    norms = trace.get(Statistic.GRAD_NORM).finite
    kept = norms.values[norms.values > 0]
    if finding is None:
        return kept
    past = norms.values[(norms.steps < finding.first_step) & (norms.values > 0)]
    return past if len(past) >= _FEWEST else kept


def bound(norms: Floats, quantile: float, margin: float) -> float:
    """Return a bound above the usual norms: a margin on their quantile; nan when there are none."""
    return rounded(margin * float(np.quantile(norms, quantile))) if len(norms) else math.nan


def cost(trace: Trace, threshold: float, finding: Finding | None = None) -> Cost:
    """Return what a bound on the norm would have done to the steps before a finding; to all, without a past."""
    norms = healthy_norms(trace, finding)
    if not len(norms):
        return Cost(math.nan, math.nan)
    above = norms[norms > threshold]
    return Cost(len(above) / len(norms), float(np.mean(threshold / above)) if len(above) else 1.0)


def grows_in_time(finding: Finding | None, trace: Trace, most: float) -> bool:
    """Return whether all norms of the run are beyond use: nothing healthy to take a bound from."""
    norms = healthy_norms(trace, finding)
    return not len(norms) or float(np.median(norms)) > most
