"""One line while the script still runs: gradients that explode, or have become NaN, long before the report."""

from __future__ import annotations

import logging
import os
import time
from importlib import import_module
from typing import TYPE_CHECKING, Final

from evengrad.cli.options import Language
from evengrad.cli.terminal import say
from evengrad.cli.words import word
from evengrad.core.event import Event, EventKind

if TYPE_CHECKING:
    from evengrad.core.finding import Finding
    from evengrad.core.trace import Trace
    from evengrad.observation.monitor import Monitor

logger = logging.getLogger(__name__)

_RULES: Final = ("exploding-gradient", "non-finite")
# Own choice: looks lie 1.5 times as many steps apart each time, so their number grows with the logarithm of the run's
# length; whatever a look costs, it waits until it is 0.5 % of the run, but for a first half second.
_GROWTH: Final = 1.5
_SHARE: Final = 0.005
_ALLOWANCE: Final = 0.5


class EarlyWarning:
    """A listener of the monitor that diagnoses the trace so far now and then, and speaks once per rule."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._process = os.getpid()
        self._started = time.perf_counter()
        self._spent = 0.0
        self._next_step = 0
        self._waiting = list(_RULES)

    def __call__(self, monitor: Monitor) -> None:
        """Look at the run, if it is time to; a fault of ours ends the looking, never the run."""
        if not self._waiting or os.getpid() != self._process or not self._due(monitor):
            return
        start = time.perf_counter()
        try:
            self._look(monitor)
        except Exception:
            logger.debug("early warning switched off", exc_info=True)
            self._waiting.clear()
        self._spent += time.perf_counter() - start

    def _due(self, monitor: Monitor) -> bool:
        affordable = _ALLOWANCE + _SHARE * (time.perf_counter() - self._started)
        return self._spent < affordable and monitor.steps >= self._next_step

    def _look(self, monitor: Monitor) -> None:
        from evengrad.diagnosis.diagnose import diagnose

        self._next_step = int(monitor.steps * _GROWTH) + 1
        # Not the whole catalogue: most of a first look is importing, and the script waits meanwhile.
        rules = {name: import_module(f"evengrad.rules.{name.replace('-', '_')}").RULE for name in self._waiting}
        trace = monitor.trace()
        for finding in diagnose(trace, rules).findings:
            if finding.rule in self._waiting and _pressing(finding, trace):
                self._waiting.remove(finding.rule)
                self._warn(monitor, finding)

    def _warn(self, monitor: Monitor, finding: Finding) -> None:
        from evengrad.reports.text import texts

        step = max(0, monitor.steps - 1)
        message = texts(self._language.value).message(finding).rstrip(".。")
        say(word(self._language, "early", step=str(step), message=message))
        monitor.note(Event(EventKind.EARLY_WARNING, step, last_step=step, details={"rule": finding.rule}))


def _pressing(finding: Finding, trace: Trace) -> bool:
    """Return whether a finding cannot wait for the report.

    What may come right is a warning, which the report will tell. But in the first steps, before the loss can tell
    anything, a gradient that explodes may become NaN with the next one, and then it is too late to say so.
    """
    from evengrad.core.finding import Severity
    from evengrad.rules._progress import State, progress

    if finding.severity is Severity.WARNING and finding.rule == "exploding-gradient":
        return progress(trace).state is State.UNKNOWN
    return finding.severity is Severity.ERROR
