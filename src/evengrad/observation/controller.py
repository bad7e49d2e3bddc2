"""Which steps to look at, so that looking costs no more than the budget."""

from __future__ import annotations

import time
from collections import deque

_FIRST_LIGHT = 10  # steps that are always measured lightly
_LIGHT_SHARE, _DEEP_SHARE = 0.3, 0.45  # of the budget; the rest is for the hooks that run on every step
_LONGEST_LIGHT, _LONGEST_DEEP = 500, 20_000  # steps between two looks at most
_BORROWED_PROBES, _BORROWED_SECONDS = 6, 0.03  # early deep probes go beyond the budget, within these
_RECENT = 9  # samples whose median is believed: one preemption must not blind us


def _median(samples: deque[float]) -> float:
    ordered = sorted(samples)
    return ordered[len(ordered) // 2] if ordered else 0.0


class Controller:
    """Plans light and deep steps from costs that it measures in place.

    Costs are seconds of CPU time of the training thread; step times are wall-clock medians.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.own_seconds = 0.0
        self.light_steps = 0
        self.deep_steps = 0
        self._light_costs: deque[float] = deque(maxlen=_RECENT)
        self._deep_costs: deque[float] = deque(maxlen=_RECENT)
        self._step_times: deque[float] = deque(maxlen=_RECENT)
        self._deep_seconds = 0.0
        self._started = time.perf_counter()
        self._last_step = 0.0
        self._next_light = 0
        self._scheduled = 1
        self._alarms = 0
        self.first_step_at = 0.0
        self.last_step_at = 0.0

    def light_due(self, step: int) -> bool:
        """Return whether a step's norms are to be taken."""
        return step < _FIRST_LIGHT or step >= self._next_light

    def light_done(self, step: int, seconds: float) -> None:
        """Book the cost of a light step and plan the next."""
        self.light_steps += 1
        self.own_seconds += seconds
        self._light_costs.append(seconds)
        typical = _median(self._step_times)
        allowed = self.budget * _LIGHT_SHARE * typical
        period = int(_median(self._light_costs) / allowed) + 1 if allowed > 0 else 1
        self._next_light = step + min(max(period, 1), _LONGEST_LIGHT)

    def step_done(self) -> None:
        """Note the end of an optimizer step."""
        now = time.perf_counter()
        if self._last_step:
            self._step_times.append(now - self._last_step)
        else:
            self.first_step_at = now
        self._last_step = self.last_step_at = now

    def deep_done(self, seconds: float) -> None:
        """Book the cost of a deep step."""
        self.deep_steps += 1
        self.own_seconds += seconds
        self._deep_seconds += seconds
        self._deep_costs.append(seconds)

    def deep_due(self, step: int) -> bool:
        """Return whether the coming step ``step`` is to be probed deeply.

        Steps 0, 1, 2, 4, 8, … are wanted at once while the loan lasts; later ones when the budget has grown enough.
        """
        if step == 0:
            return True
        cost = _median(self._deep_costs)
        elapsed = time.perf_counter() - (self.first_step_at or self._started)
        earned = self.budget * _DEEP_SHARE * elapsed
        loan = max(_BORROWED_SECONDS, 0.02 * elapsed)
        early = self.deep_steps < _BORROWED_PROBES and self._deep_seconds + cost <= loan + earned
        if step >= self._scheduled and (early or self.deep_steps < 2 or self._deep_seconds + cost <= earned):
            self._scheduled = max(self._scheduled + 1, min(2 * step, step + _LONGEST_DEEP))
            return True
        # Past the doubling schedule, spend what the budget allows.
        return step > 32 and self._deep_seconds + 2 * cost <= earned

    def alarm(self) -> bool:
        """Return whether a deep probe may be made now because something looks wrong; a few times per run."""
        self._alarms += 1
        return self._alarms <= 8

    def share(self) -> float:
        """Return own seconds over the seconds between the first and the last optimizer step."""
        span = self.last_step_at - self.first_step_at
        return self.own_seconds / span if span > 0 else 0.0

    def run_seconds(self) -> float:
        """Return the seconds between the first and the last optimizer step."""
        return max(self.last_step_at - self.first_step_at, 0.0)
