"""Other ways to look for a repair, in the same trials: remedies drawn at random, and AUTOTRAINER's order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from evengrad.core.finding import Diagnosis
from evengrad.core.plan import Plan
from evengrad.remedies._autotrainer import autotrainer_order
from evengrad.remedies._random import random_plans
from evengrad.remedies.prescribe import first_finding
from evengrad.reports.fix.json_form import fix_values
from evengrad.reports.json_report import report_values
from evengrad.trials.fix import Helpers, Order, fix
from evengrad.trials.job import Target

_DRAWN = 8  # plans: as many as a search for a repair tries at most in two batches

WAYS = ("evengrad", "random", "autotrainer")


def searched(script: Path, seed: int, way: str) -> dict[str, object]:
    """Return the JSON report on a fix whose plans come another way; the fault is told by evengrad's diagnosis."""

    def prescribe(diagnosis: Diagnosis) -> Sequence[Plan]:
        finding = first_finding(diagnosis)
        if finding is None:
            return ()
        if way == "random":
            return random_plans(diagnosis.trace, _DRAWN, seed=seed)
        return tuple(autotrainer_order(finding, diagnosis.trace))

    target = Target(script.name, False, (str(seed),), str(script.parent))
    order = Order(target, script.parent / way, ("-m", "evengrad.cli.arm"))
    before = os.getcwd()
    os.chdir(script.parent)  # lines of a trace are relative to where the program ran
    try:
        result, _ = fix(order, Helpers(prescribe, lambda *_: (), lambda *_: None, lambda *_: None))
    finally:
        os.chdir(before)
    return {**report_values(result.diagnosis), "fix": fix_values(result)}
