"""Learning rates from what the run's own steps did to its weights."""

from __future__ import annotations

import math

from evengrad.core.finding import Finding
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._facts import learning_rate
from evengrad.rules._weights import largest_updates, matrices


def first_ratio(trace: Trace, finding: Finding | None = None) -> float:
    """Return the relative size of the first step, or of the largest one before a finding that began later.

    Steps after that tell less: weights that have been blown up move little for their size, or without bounds.
    """
    begun = finding.first_step if finding is not None else 0
    seen = [update for update in largest_updates(trace) if math.isfinite(update.ratio)]
    before = [update.ratio for update in seen if update.step < begun] if begun > 1 else []
    return max(before, default=seen[0].ratio if seen else math.nan)


def peak_ratio(trace: Trace) -> float:
    """Return the largest relative update of a weight tensor at any probe; nan when none was measured."""
    ratios = [float(r.values.max()) for n in matrices(trace) if len(r := trace.get(Statistic.UPDATE_RATIO, n).finite)]
    return max(ratios, default=math.nan)


def factors(measured: float, ladder: tuple[float, ...], apart: float) -> tuple[float, ...]:
    """Return a measured factor and the nearest rungs of a ladder that are not the same again.

    Args:
        measured: What measurement says; nan where there is none.
        ladder: What is tried without a measurement, in order.
        apart: Factors closer than this count as one.

    Returns:
        At most two factors.
    """
    found = [measured] if math.isfinite(measured) else []
    for rung in ladder:
        if all(abs(math.log(rung / other)) >= math.log(apart) - 1e-9 for other in found):
            found.append(rung)
    return tuple(found[:2])


def known_rate(trace: Trace, finding: Finding | None) -> float:
    """Return the learning rate to start from; nan where it is unknown or zero."""
    rate = learning_rate(trace, finding)
    return rate if rate > 0 else math.nan
