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
    from evengrad.rules._base import AbstractRule

logger = logging.getLogger(__name__)

_RULES: Final = ("exploding-gradient", "non-finite")
# A look follows each deep probe and each non-finite number, as long as all looks together cost at most this share of
# the time gone by, but for a first allowance, because most explosions come early. Own choice.
_SHARE: Final = 0.001
_ALLOWANCE: Final = 0.2  # seconds


class EarlyWarning:
    """A listener of the monitor that diagnoses the trace so far now and then, and speaks once per rule."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._process = os.getpid()
        self._started = time.perf_counter()
        self._spent = 0.0
        self._waiting = list(_RULES)
        self._rules: dict[str, AbstractRule] = {}

    def __call__(self, monitor: Monitor) -> None:
        """Look at the run, if it is time to; a fault of ours ends the looking, never the run."""
        affordable = _ALLOWANCE + _SHARE * (time.perf_counter() - self._started)
        if not self._waiting or self._spent > affordable or os.getpid() != self._process:
            return
        try:
            self._rules = self._rules or _load()
            start = time.perf_counter()
            self._look(monitor)
            self._spent += time.perf_counter() - start
        except Exception:
            logger.debug("early warning switched off", exc_info=True)
            self._waiting.clear()

    def _look(self, monitor: Monitor) -> None:
        from evengrad.diagnosis.diagnose import diagnose

        trace = monitor.trace()
        for finding in diagnose(trace, {name: self._rules[name] for name in self._waiting}).findings:
            if finding.rule in self._waiting and _pressing(finding, trace):
                self._waiting.remove(finding.rule)
                self._warn(monitor, finding)

    def _warn(self, monitor: Monitor, finding: Finding) -> None:
        from evengrad.reports.text import texts

        step = max(0, monitor.steps - 1)
        message = texts(self._language.value).message(finding).rstrip(".。")
        say(word(self._language, "early", step=str(step), message=message))
        monitor.note(Event(EventKind.EARLY_WARNING, step, last_step=step, details={"rule": finding.rule}))


def _load() -> dict[str, AbstractRule]:
    """Return the rules that are asked; not by way of the catalogue, which loads them all while the script waits."""
    return {name: import_module(f"evengrad.rules.{name.replace('-', '_')}").RULE for name in _RULES}


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
