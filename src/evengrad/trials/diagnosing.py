"""The diagnosing run: the program as it is, for as long as the diagnosis needs."""

from __future__ import annotations

from dataclasses import dataclass
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
    """Run the program until its diagnosis is clear: a failing run shows the same fault at two looks in a row.

    Without such a fault it runs to its end, or to the last step allowed. The run then stands still: it is the control
    of the trials on seed 0.

    Args:
        runs: Runs programs.
        settings: Limits.

    Returns:
        What was found.
    """
    steps = min(settings.first_look, settings.steps or settings.first_look)
    before: set[tuple[str, CauseKind | None]] = set()
    last: Sick | None = None
    while True:
        reached = runs.reach([Wanted(CONTROL, steps=steps)])[0]
        trace = reached.trace()
        if trace is None and last is not None:  # out of time on the way
            return last
        diagnosis = diagnose(trace if trace is not None else Trace())
        curve = reached.curve
        if curve.ended or curve.error:
            horizon = None if curve.ended and not curve.error else max(curve.steps, steps)
            return Sick(diagnosis, curve, horizon)
        last = Sick(diagnosis, curve, steps)
        failing = _failing(diagnosis)
        if before & failing or steps == settings.steps or runs.clock.over:
            return last
        before = failing
        steps = min(2 * steps, settings.steps or 2 * steps)


def _failing(diagnosis: Diagnosis) -> set[tuple[str, CauseKind | None]]:
    """Return the faults because of which the run is failing."""
    return {
        (finding.rule, finding.cause.kind if finding.cause is not None else None)
        for finding in diagnosis.findings
        if finding.severity is Severity.ERROR
    }
