"""The diagnosing run: the program as it is, for as long as the diagnosis needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from evengrad.core.finding import CauseKind, Diagnosis, Severity
from evengrad.core.trace import Trace
from evengrad.core.trial import Curve
from evengrad.diagnosis.diagnose import diagnose
from evengrad.trials.runs import Runs, Wanted
from evengrad.trials.settings import Settings

CONTROL: Final = "nothing"


@dataclass(frozen=True, eq=False)
class Sick:
    """What the program did as it is.

    Attributes:
        diagnosis: What is wrong with it.
        curve: Its losses on seed 0.
        horizon: Optimizer steps that every arm is given; None: to the program's own end.
    """

    diagnosis: Diagnosis
    curve: Curve
    horizon: int | None


def examine(runs: Runs, settings: Settings) -> Sick:
    """Run the program until its diagnosis is clear, and choose how long its arms shall run.

    The diagnosis is clear when looks in a row find the same fault: two, if it ends training; more, if it only wastes
    it. Without such a fault the program runs to its end, or to the last step allowed. The arms are then given the steps
    of the first two looks in a row that found what was found last. The run stands still in the end: it is the control
    of the trials on seed 0.

    Args:
        runs: Runs programs.
        settings: Limits.

    Returns:
        What was found.
    """
    steps = min(settings.first_look, settings.steps or settings.first_look)
    looks: list[Sick] = []
    while True:
        reached = runs.reach([Wanted(CONTROL, steps=steps)])[0]
        trace = reached.trace()
        if trace is None and looks:  # out of time on the way
            return looks[-1]
        curve = reached.curve
        over = curve.ended or bool(curve.error)
        looks.append(Sick(diagnose(trace if trace is not None else Trace()), curve, steps))
        if over:
            return _settled(looks)
        if _clear(looks, settings) or steps == settings.steps or runs.clock.over:
            return looks[-1]
        steps = min(2 * steps, settings.steps or 2 * steps)


def _settled(looks: Sequence[Sick]) -> Sick:
    """Return the look that the trials of a program that came to its end, or to an error, are to be held against."""
    last = looks[-1]
    if last.curve.error:
        return replace(last, horizon=max(last.curve.steps, last.horizon or 0))
    wrong = _first_fault(last.diagnosis)
    if wrong is not None:
        for earlier, later in itertools.pairwise(looks[:-1]):
            if _first_fault(earlier.diagnosis) == wrong == _first_fault(later.diagnosis):
                return later
    return replace(last, horizon=None)


def _clear(looks: Sequence[Sick], settings: Settings) -> bool:
    """Return whether enough looks in a row have found the same fault."""
    wrong = _first_fault(looks[-1].diagnosis)
    if wrong is None:
        return False
    needed = settings.sure if wrong[1] is Severity.ERROR else settings.surer
    recent = looks[-needed:]
    return len(recent) == needed and all(_first_fault(look.diagnosis) == wrong for look in recent)


def _first_fault(diagnosis: Diagnosis) -> tuple[str, Severity, CauseKind | None] | None:
    """Return what is to be repaired first: rule, severity and cause; None when there is no fault."""
    first = next((finding for finding in diagnosis.findings if finding.severity is not Severity.INFO), None)
    if first is None:
        return None
    return first.rule, first.severity, first.cause.kind if first.cause is not None else None
