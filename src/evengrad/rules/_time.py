"""The gradient across time: how it changes over the steps of a recurrent layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evengrad.core.info import SourceLine
from evengrad.core.trace import Trace
from evengrad.rules._depth import depths
from evengrad.rules._late import late_step

_FEWEST_STEPS = 6  # in time: below, a third of the sequence is one step
_LEAST = -45.0  # decades: float32 ends here; a gradient that is exactly 0 counts as this


@dataclass(frozen=True)
class TimeDecay:
    """How the gradient changes from the last time step of a recurrent layer to the first, in decades (negative: falls).

    ``decades`` is the median over the probes that count (of two, the lower), ``largest`` the highest at any probe,
    ``first_step`` the first optimizer step with at least half as much as ``decades``.
    """

    module: str
    length: int
    decades: float
    largest: float
    first_step: int
    last_step: int
    source: SourceLine | None = None


def profile_decades(norms: Sequence[float]) -> float:
    """Return the decades from the last time steps to the first that a profile shows; nan when it cannot be told.

    The slope between the medians of the first and the last third, carried over the whole length: one odd step, or local
    losses at every step (which make the profile flat, since they feed every step afresh), cannot imitate a trend.
    """
    if len(norms) < _FEWEST_STEPS or not all(math.isfinite(norm) for norm in norms):
        return math.nan
    third = len(norms) // 3
    early, recent = float(np.median(norms[:third])), float(np.median(norms[-third:]))
    if recent <= 0:  # no loss reaches the end of the sequence (padding): nothing to compare with
        return math.nan
    slope = math.log10(early / recent) if early > 0 else _LEAST
    return max(_LEAST, slope * (len(norms) - 1) / (len(norms) - third))


def time_decays(trace: Trace, *, failing: bool = False) -> tuple[TimeDecay, ...]:
    """Return the change of the gradient across time of every recurrent layer.

    From the time profiles; from the ledgers of a path that reuses a weight step after step where there are none.

    Args:
        trace: The run.
        failing: The run goes nowhere: all probes after step 0 count, not only those of the later half.

    Returns:
        One decay per recurrent layer.
    """
    found = []
    for module in dict.fromkeys(profile.module for profile in trace.time_profiles):
        points = [
            (profile.step, value, len(profile.norms), profile.source)
            for profile in sorted(trace.time_profiles, key=lambda profile: profile.step)
            if profile.module == module and not math.isnan(value := profile_decades(profile.norms))
        ]
        if points:
            steps, values = [point[0] for point in points], [point[1] for point in points]
            found.append(_decay(module, max(point[2] for point in points), (steps, values), points[-1][3], failing))
    if found:
        return tuple(found)
    return tuple(
        _decay(
            depth.typical.first,
            depth.typical.steps_in_time,
            ([ledger.step for ledger in depth.ledgers], [max(_LEAST, x.attenuation) for x in depth.ledgers]),
            next((entry.source for entry in depth.typical.entries if entry.source), None),
            failing,
        )
        for depth in depths(trace, in_time=True)
    )


def _decay(
    module: str, length: int, measured: tuple[list[int], list[float]], source: SourceLine | None, failing: bool
) -> TimeDecay:
    """Return the decay that a row of measurements (steps, decades) shows."""
    steps, values = measured
    begin = min(1, steps[-1]) if failing else late_step(steps)
    judged = sorted(value for step, value in zip(steps, values, strict=True) if step >= begin)
    decades = judged[(len(judged) - 1) // 2]
    since = (
        step
        for step, value in zip(steps, values, strict=True)
        if value * decades > 0 and 2 * abs(value) >= abs(decades)
    )
    return TimeDecay(module, length, decades, max(values), next(since, steps[-1]), steps[-1], source)
