"""Which steps to look at, so that looking costs no more than the budget."""

from __future__ import annotations

import time
from collections import deque

_FIRST_LIGHT = 10  # steps that are always measured lightly
_BASE_SHARE, _LIGHT_SHARE, _DEEP_SHARE = 0.25, 0.3, 0.45  # of the budget, for the three tiers
_LONGEST_LIGHT, _LONGEST_DEEP = 500, 20_000  # steps between two looks at most
_LONGEST_REST = 1024  # steps in a row of which only the loss is seen, at most
_SPACING = 3  # of the early probes: each comes this many times later than the last
_BORROWED_PROBES, _BORROWED_SECONDS = 8, 0.045  # early deep probes go beyond the budget, within these
_RECENT = 9  # samples whose median is believed: one preemption must not blind us


def _median(samples: deque[float]) -> float:
    ordered = sorted(samples)
    return ordered[len(ordered) // 2] if ordered else 0.0


class Controller:
    """Plans base, light and deep work from costs that it measures in place.

    *Base* is following the order of the loop; *light* the norms of all gradients; *deep* a whole probe. Costs are
    seconds on the training thread's clock; times of steps are wall-clock medians.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.own_seconds = 0.0
        self.light_steps = 0
        self.deep_steps = 0
        self.attentive_steps = 0
        self._base_costs: deque[float] = deque(maxlen=_RECENT)
        self._light_costs: deque[float] = deque(maxlen=_RECENT)
        self._deep_costs: deque[float] = deque(maxlen=_RECENT)
        self._step_times: deque[float] = deque(maxlen=_RECENT)
        self._deep_seconds = 0.0
        self._base_seconds = 0.0
        self._started = time.perf_counter()
        self._last: tuple[float, int] | None = None
        self._next_light = 0
        self._scheduled = 1
        self.first_step_at = 0.0
        self.last_step_at = 0.0

    def spend(self, seconds: float) -> None:
        """Book base work of the step that is going on."""
        self._base_seconds += seconds

    def step_done(self, step: int, *, deep: bool) -> None:
        """Note the end of a step that was attended to; probes do not count as typical."""
        now = time.perf_counter()
        self.attentive_steps += 1
        self.own_seconds += self._base_seconds
        if not deep:
            self._base_costs.append(self._base_seconds)
        self._base_seconds = 0.0
        if self._last is not None and not deep and step > self._last[1]:
            self._step_times.append((now - self._last[0]) / (step - self._last[1]))
        self.first_step_at = self.first_step_at or now
        self._last, self.last_step_at = (now, step), now

    def light_due(self, step: int) -> bool:
        """Return whether a step's norms are to be taken."""
        return step < _FIRST_LIGHT or step >= self._next_light

    def light_done(self, step: int, seconds: float) -> None:
        """Book the cost of a light step and plan the next."""
        self.light_steps += 1
        self.own_seconds += seconds
        self._light_costs.append(seconds)
        allowed = self.budget * _LIGHT_SHARE * _median(self._step_times)
        cost = _median(self._light_costs)
        period = int(cost / allowed) + 1 if allowed > 0 else 1
        self._next_light = step + min(max(period, 1), _LONGEST_LIGHT)

    def deep_done(self, seconds: float) -> None:
        """Book the cost of a deep step."""
        self.deep_steps += 1
        self.own_seconds += seconds
        self._deep_seconds += seconds
        self._deep_costs.append(seconds)

    def deep_due(self, step: int) -> bool:
        """Return whether the coming step ``step`` is to be probed deeply.

        Steps 0, 1, 3, 9, 27, … are wanted at once while the loan lasts; later ones when the budget has grown enough.
        """
        if step == 0:
            return True
        # Between the last and the dearest of late: the first probe of a process is dearer than those to come.
        cost = min(self._deep_costs[-1], _median(self._deep_costs)) if self._deep_costs else 0.0
        elapsed = time.perf_counter() - (self.first_step_at or self._started)
        earned = self.budget * _DEEP_SHARE * elapsed
        early = self.deep_steps < _BORROWED_PROBES and self._deep_seconds + cost <= max(_BORROWED_SECONDS, 3 * earned)
        if step >= self._scheduled and (early or self.deep_steps < 2 or self._deep_seconds + cost <= earned):
            self._scheduled = max(step + 1, min(_SPACING * step, step + _LONGEST_DEEP))
            return True
        # Past the early schedule, spend what the budget allows.
        return step > 32 and self._deep_seconds + 2 * cost <= earned

    def rest(self, step: int) -> int:
        """Return how many steps after ``step`` may pass with nothing seen but the loss; 0: none.

        Following the loop costs tens of microseconds; where a step takes less than some milliseconds that is too much.
        """
        if step < 2 * _FIRST_LIGHT:
            return 0
        allowed = self.budget * _BASE_SHARE * _median(self._step_times)
        cost = _median(self._base_costs)
        if allowed <= 0 or cost <= allowed:
            return 0
        return min(int(cost / allowed) + 1, _LONGEST_REST)

    def share(self) -> float:
        """Return own seconds over the seconds between the first and the last attended optimizer step."""
        span = self.run_seconds()
        return self.own_seconds / span if span > 0 else 0.0

    def run_seconds(self) -> float:
        """Return the seconds between the first and the last attended optimizer step."""
        return max(self.last_step_at - self.first_step_at, 0.0)
