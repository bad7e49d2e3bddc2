"""How well runs went, and what their differences prove."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evengrad.core.plan import Act, Plan
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.core.trial import Curve, Effect, Outcome

_WINDOW: Final = 0.1  # share of the steps that "late" means; the cases of this project judge by the same tenth
_FEWEST: Final = 5  # steps that it has at least
_FAR: Final = 100.0  # own choice: no trained network has a hundredth of the loss of one that is as good
_HIGHER: Final = ("acc", "f1", "auc", "score", "reward", "return", "r2", "bleu", "iou", "map", "precision", "recall")


@dataclass(frozen=True)
class Score:
    """What one run is judged by; lower is better, infinite when it did not stay finite.

    Attributes:
        value: The late loss, or what stands in for it.
        quantity: What it is.
    """

    value: float
    quantity: str = "loss"


def late_loss(losses: Sequence[float]) -> float:
    """Return the median loss over the last tenth of the steps; infinite when most of them are not finite.

    A median, because one bad batch at the end says nothing of how training went.
    """
    if not losses:
        return math.inf
    window = np.asarray(losses[-max(_FEWEST, math.ceil(_WINDOW * len(losses))) :], dtype=float)
    finite = window[np.isfinite(window)]
    return float(np.median(finite)) if 2 * len(finite) > len(window) else math.inf


def losses_of(curve: Curve, trace: Trace | None) -> tuple[float, ...]:
    """Return a run's losses; under a GradScaler without its scale, and with those of the steps that it skipped."""
    if trace is None or not len(trace.get(Statistic.LOSS_SCALE)):
        return curve.losses
    return tuple(float(value) for value in trace.get(Statistic.LOSS).values)


def score(curve: Curve, trace: Trace | None, plan: Plan) -> Score:
    """Return what a run is judged by.

    A change that alters the loss itself (a penalty added to it, targets in other units) makes losses incomparable. Then
    the run's loss is taken relative to what predicting the mean would cost it, which the trace tells for a regression.
    The doing-nothing run that it is held against is to be scored with the same plan.

    Args:
        curve: The run.
        trace: What was measured in it.
        plan: What is compared with doing nothing.
    """
    if curve.error:
        return Score(math.inf)
    late = late_loss(losses_of(curve, trace))
    if not alters_loss(plan):
        return Score(late)
    scale = trivial_loss(losses_of(curve, trace), trace)
    return Score(late / scale if scale > 0 else math.inf, "relative loss")


def alters_loss(plan: Plan) -> bool:
    """Return whether a plan changes what the loss means."""
    return any(
        change.act is Act.PENALISE or (change.act is Act.SCALE and change.word("what") == "target")
        for change in plan.changes
    )


def trivial_loss(losses: Sequence[float], trace: Trace | None) -> float:
    """Return the loss of a model that knows nothing but the mean of the targets.

    That is their variance under a squared loss and about their spread under an absolute one; which of the two it is
    tells the first loss. Where no regression target was measured, the run's own first losses stand in for it.
    """
    first = float(np.median(losses[:3])) if losses else math.nan
    if trace is None:
        return first
    spread = trace.get(Statistic.TARGET_SPREAD).median()
    size = math.hypot(trace.get(Statistic.TARGET_RMS).first(), trace.get(Statistic.OUTPUT_RMS).first())
    if not (math.isfinite(spread) and spread > 0 and math.isfinite(size) and size > 0 and first > 0):
        return first
    squared = abs(math.log(first / size**2)) <= abs(math.log(first / size))
    return spread**2 if squared else spread


def final_scores(arms: Sequence[Curve], controls: Sequence[Curve]) -> tuple[list[Score], list[Score]] | None:
    """Return scores by a figure that all of some runs printed, for arms and controls; None where there is none.

    A figure of which one cannot tell whether more or less is better does not count.
    """
    runs = [*arms, *controls]
    if not runs or any(not curve.ended or not curve.finals for curve in runs):
        return None
    for name, _ in runs[0].finals:
        if all(name in dict(curve.finals) for curve in runs):
            sign = _direction(name)
            if sign:
                return [_final(c, name, sign) for c in arms], [_final(c, name, sign) for c in controls]
    return None


def _final(curve: Curve, name: str, sign: int) -> Score:
    value = dict(curve.finals)[name]
    return Score(sign * value if math.isfinite(value) else math.inf, name)


def _direction(name: str) -> int:
    """Return 1 when less is better, -1 when more is, 0 when its name does not tell."""
    low = name.lower()
    if any(word in low for word in ("loss", "err", "mse", "mae", "nll", "perplexity", "ppl", "entropy")):
        return 1
    return -1 if any(word in low for word in _HIGHER) else 0


def compare(arm: Sequence[Score], control: Sequence[Score], confidence: float) -> tuple[Outcome, Effect]:
    """Return what pairs of runs on the same seeds prove.

    The interval is Student's t on the mean of the paired differences: with three to six pairs there is nothing for a
    bootstrap to draw from, and the differences of medians over tens of steps are close to normal. They are taken
    between logarithms where all scores are positive, since losses differ by factors. How far a run has diverged means
    nothing: a difference beyond a factor of ``_FAR`` counts as that factor, and so does one between a run that stayed
    finite and one that did not.

    Args:
        arm: One score per seed.
        control: The scores of doing nothing, on the same seeds in the same order.
        confidence: Of the two-sided interval, 0 to 1.

    Returns:
        The verdict, and the effect behind it.
    """
    pairs = [(a.value, c.value) for a, c in zip(arm, control, strict=True)]
    log = all(value > 0 for pair in pairs for value in pair if math.isfinite(value))
    differences = _differences(pairs, log=log)
    estimate, low, high = t_interval(differences, confidence)
    quantity = arm[0].quantity if arm else "loss"
    effect = Effect(estimate, low, high, len(differences), confidence, "log" if log else "plain", quantity)
    if high < 0:
        return Outcome.BETTER, effect
    return (Outcome.WORSE if low > 0 else Outcome.NO_EVIDENCE), effect


def _differences(pairs: Sequence[tuple[float, float]], *, log: bool) -> list[float]:
    """Return the paired differences, each within bounds."""
    finite = [abs(a - c) for a, c in pairs if math.isfinite(a) and math.isfinite(c)]
    bound = math.log(_FAR) if log else max(finite, default=1.0) or 1.0
    return [_difference(a, c, bound, log=log) for a, c in pairs]


def _difference(arm: float, control: float, bound: float, *, log: bool) -> float:
    if not math.isfinite(arm) or not math.isfinite(control):
        return bound * (math.isfinite(control) - math.isfinite(arm))
    plain = math.log(arm / control) if log else arm - control
    return min(bound, max(-bound, plain))


def t_interval(differences: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Return mean and two-sided confidence interval of the mean; the whole line from fewer than two differences.

    Source:
        Student, Biometrika 1908.
    """
    from scipy.special import stdtrit  # the quantile alone: scipy.stats takes a second to import

    if len(differences) < 2:
        estimate = float(differences[0]) if differences else math.nan
        return estimate, -math.inf, math.inf
    values = np.asarray(differences, dtype=float)
    half = float(stdtrit(len(values) - 1, 0.5 + confidence / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half
