"""What became of a run by its own doing: a NaN out of the blue does not make a sound course a divergence."""

from __future__ import annotations

import math
from dataclasses import replace

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._progress import Progress, State, progress

_BEFORE = 3  # finite losses before the first that is not
_CALM = 3.0  # times the first loss, up to which these show no divergence; the factor of ``progress``


def outcome(trace: Trace) -> Progress:
    """Return how far a run has got; one that ended in a sudden NaN, as it stood before.

    A pole in the loss, or a corrupt batch, ends a run from one step to the next. That says nothing about the sizes of
    data, targets or updates before it, which other rules judge by the outcome.
    """
    run = progress(trace)
    losses = trace.get(Statistic.LOSS)
    if run.state is not State.DIVERGING or math.isfinite(losses.last()):
        return run
    bad = losses.steps[[not math.isfinite(value) for value in losses.values]]
    calm = losses.between(-1, int(bad[0]) - 1)
    if len(calm) == 0 or calm.values[-_BEFORE:].max() > _CALM * abs(calm.first()):
        return run
    earlier = progress(replace(trace, series={**trace.series, (Statistic.LOSS, ""): calm}))
    return earlier if earlier.state in (State.LEARNING, State.SOLVED) else run
