"""The gradient across time: how it changes over the steps of a recurrent layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evengrad.core.info import SourceLine
from evengrad.core.trace import Trace
from evengrad.rules._depth import depths
from evengrad.rules._late import typical

_FEWEST_STEPS = 6  # in time: below, a third of the sequence is one step
_LEAST = -45.0  # decades: float32 ends here; a gradient that is exactly 0 counts as this


@dataclass(frozen=True)
class TimeDecay:
    """How the gradient changes from the last time step of a recurrent layer to the first, in decades (negative: falls).

    ``points`` are the optimizer steps of the probes and what each showed; ``decades`` speaks for the run.
    """

    module: str
    length: int
    points: tuple[tuple[int, float], ...]
    decades: float
    source: SourceLine | None = None

    @property
    def start(self) -> float:
        """Decades at the first probe."""
        return self.points[0][1]

    @property
    def largest(self) -> float:
        """The highest decades at any probe."""
        return max(value for _, value in self.points)

    @property
    def last_step(self) -> int:
        """Step of the last probe."""
        return self.points[-1][0]

    def since(self, bound: float) -> int:
        """Return the first step at which a probe lies beyond the bound (below a negative, above a positive one)."""
        beyond = (step for step, value in self.points if (value <= bound if bound < 0 else value >= bound))
        return next(beyond, self.last_step)


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
        failing: The run goes nowhere: what held for a part of it counts, not only what holds in the later half.

    Returns:
        One decay per recurrent layer.
    """
    found = []
    for module in dict.fromkeys(profile.module for profile in trace.time_profiles):
        shown = [
            (profile.step, value, len(profile.norms), profile.source)
            for profile in sorted(trace.time_profiles, key=lambda profile: profile.step)
            if profile.module == module and not math.isnan(value := profile_decades(profile.norms))
        ]
        if shown:
            points = tuple((step, value) for step, value, _, _ in shown)
            found.append(_decay(module, max(point[2] for point in shown), points, shown[-1][3], failing))
    if found:
        return tuple(found)
    return tuple(
        _decay(
            depth.typical.first,
            depth.typical.steps_in_time,
            tuple((ledger.step, max(_LEAST, ledger.attenuation)) for ledger in depth.ledgers),
            next((entry.source for entry in depth.typical.entries if entry.source), None),
            failing,
        )
        for depth in depths(trace, in_time=True)
    )


def _decay(
    module: str, length: int, points: tuple[tuple[int, float], ...], source: SourceLine | None, failing: bool
) -> TimeDecay:
    """Return the decay that a row of measurements shows."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    return TimeDecay(module, length, points, values[typical(steps, values, failing=failing)], source)
