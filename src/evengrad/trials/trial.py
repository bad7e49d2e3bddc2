"""``evengrad.trial``: paired runs of a function of one's own."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence

from evengrad.core.finding import Diagnosis
from evengrad.core.plan import Plan
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.core.trial import ArmResult, Curve, Effect, Outcome, Role, Symptom, TrialResult
from evengrad.diagnosis.diagnose import diagnose
from evengrad.errors import UsageError
from evengrad.trials.score import Score, compare, score
from evengrad.trials.symptom import symptom

logger = logging.getLogger(__name__)

Run = Callable[[Plan, int], "Sequence[float] | Trace"]


def trial(
    make_run: Run, plans: Iterable[Plan], *, seeds: Iterable[int] = range(4), confidence: float = 0.95
) -> TrialResult:
    """Run a training function with each plan and with none, on the same seeds, and say which plans are proven better.

    Where the runs return traces, a plan must also remove or weaken the fault that doing nothing shows on the first
    seed. A run that raises makes its plan ``broken``.

    Args:
        make_run: Trains with a plan from a seed, and returns the losses of the steps, or the trace of the run. The same
            plan and seed should give the same numbers.
        plans: What to try; doing nothing is added.
        seeds: Seeds that every plan is run on; at least two.
        confidence: Of the two-sided intervals, 0 to 1.

    Returns:
        One arm for each plan, doing nothing first.

    Raises:
        UsageError: there are fewer than two seeds.

    Example:
        >>> import evengrad
        >>> def make_run(plan, seed):
        ...     rate = 0.1 if plan.changes else 0.001
        ...     return [(1 - rate) ** step * (1 + 0.01 * seed) for step in range(50)]
        >>> faster = evengrad.Plan((evengrad.Change("higher-lr", evengrad.Act.OPTIMIZE, evengrad.Risk.OPTIMIZER),))
        >>> evengrad.trial(make_run, [faster]).best.name
        'higher-lr'
    """
    numbers = tuple(seeds)
    if len(numbers) < 2:
        raise UsageError(f"seeds are {list(numbers)}: expected at least two, since one pair of runs proves nothing")
    control = _Arm(Plan(), make_run, numbers)
    arms = [_judged(_Arm(plan, make_run, numbers), control, confidence) for plan in plans]
    nothing = ArmResult("nothing", Role.CONTROL, curves=control.curves, left=control.left)
    return TrialResult((nothing, *arms))


class _Arm:
    """The runs of one plan."""

    def __init__(self, plan: Plan, make_run: Run, seeds: tuple[int, ...]) -> None:
        self.plan = plan
        self._runs = [_run(make_run, plan, seed) for seed in seeds]
        first = self._runs[0][1]
        self.diagnosis: Diagnosis | None = None if first is None else diagnose(first)

    @property
    def curves(self) -> tuple[Curve, ...]:
        return tuple(curve for curve, _ in self._runs)

    @property
    def left(self) -> tuple[str, ...]:
        return () if self.diagnosis is None else tuple(finding.rule for finding in self.diagnosis.findings)

    def scores(self, plan: Plan) -> list[Score]:
        return [score(curve, trace, plan) for curve, trace in self._runs]


def _run(make_run: Run, plan: Plan, seed: int) -> tuple[Curve, Trace | None]:
    try:
        shown = make_run(plan, seed)
    except Exception as error:
        logger.debug("a run of %s failed", plan, exc_info=True)
        return Curve(seed, (), error=f"{type(error).__name__}: {error}"), None
    if not isinstance(shown, Trace):
        return Curve(seed, tuple(float(loss) for loss in shown), ended=True), None
    losses = [math.nan] * shown.steps
    series = shown.get(Statistic.LOSS)
    for step, value in zip(series.steps, series.values, strict=True):
        if 0 <= step < len(losses):
            losses[int(step)] = float(value)
    return Curve(seed, tuple(losses), ended=True), shown


def _judged(arm: _Arm, control: _Arm, confidence: float) -> ArmResult:
    """Return what the runs of a plan show beside those of doing nothing."""
    outcome, effect = _verdict(arm, control, confidence)
    state, note = Symptom.UNKNOWN, ""
    if arm.diagnosis is not None and control.diagnosis is not None:
        state = symptom(control.diagnosis, arm.diagnosis)
    if outcome is Outcome.BROKEN:
        note = "broken"
    elif outcome is Outcome.BETTER and state is Symptom.THERE:
        outcome, note = Outcome.NO_EVIDENCE, "symptom-there"
    name = " + ".join(arm.plan.remedies) or "nothing"
    return ArmResult(name, Role.CANDIDATE, arm.plan, outcome, state, effect, arm.curves, arm.left, note)


def _verdict(arm: _Arm, control: _Arm, confidence: float) -> tuple[Outcome, Effect | None]:
    if any(curve.error for curve in arm.curves):
        return Outcome.BROKEN, None
    return compare(arm.scores(arm.plan), control.scores(arm.plan), confidence)
