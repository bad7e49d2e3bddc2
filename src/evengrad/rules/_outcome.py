"""What became of a run by its own doing, from before its first update to before a NaN out of the blue."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._course import step_noise
from evengrad.rules._progress import Progress, State, progress

_BEFORE = 3  # finite losses before the first that is not
_CALM = 3.0  # times the first loss, up to which these show no divergence; the factor of ``progress``
_CHANCE = 0.03  # relative distance from ln C within which a classifier answers by chance
_SIGNIFICANT = 3.0  # standard errors


def outcome(trace: Trace) -> Progress:
    """Return how far a run has got, held against the one loss that no update has touched yet.

    Three things are read more strictly than in ``progress``. A first update that throws the loss up to thousands makes
    every later level look like success: a run that ends where it stood before that update is stuck, and so is a
    classifier that ends at ln C. A pole in the loss, or a corrupt batch, ends a run from one step to the next: that
    says nothing about the sizes of data, targets or updates before it, so such a run is judged as it stood before.
    """
    run = progress(trace)
    if run.state is State.DIVERGING:
        return _before_nan(trace, run)
    if run.state in (State.LEARNING, State.SOLVED) and (_back_at_start(trace, run) or _at_chance(trace, run)):
        return replace(run, state=State.STUCK)
    return run


def _back_at_start(trace: Trace, run: Progress) -> bool:
    """Whether the first update raised the loss, and the run ends no lower than before it."""
    losses = trace.get(Statistic.LOSS).finite
    if len(losses) == 0 or losses.steps[0] != 0 or losses.first() >= run.first:
        return False
    error = _SIGNIFICANT * step_noise(losses.values[-max(8, len(losses) // 2) :])
    return run.last > losses.first() - error


def _at_chance(trace: Trace, run: Progress) -> bool:
    """Whether a classification loss ends at ln C."""
    classes = trace.get(Statistic.CLASSES).median()
    return classes > 1 and abs(run.last / math.log(classes) - 1) < _CHANCE


def _before_nan(trace: Trace, run: Progress) -> Progress:
    """Return how far a run had got that ended in a sudden NaN; ``run`` itself where it did not."""
    losses = trace.get(Statistic.LOSS)
    bad = losses.steps[~np.isfinite(losses.values)]
    if math.isfinite(losses.last()) or len(bad) == 0:
        return run
    calm = losses.between(-1, int(bad[0]) - 1)
    if len(calm) == 0 or calm.values[-_BEFORE:].max() > _CALM * abs(calm.first()):
        return run
    earlier = progress(replace(trace, series={**trace.series, (Statistic.LOSS, ""): calm}))
    return earlier if earlier.state in (State.LEARNING, State.SOLVED) else run
