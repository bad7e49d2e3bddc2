"""AUTOTRAINER's detection rules.

Source: Zhang, Zhai, Ma and Shen, ICSE 2021; constants from ``AutoTrainer/utils/monitor.py`` and ``reproduce.py`` of
github.com/shiningrain/AUTOTRAINER at 03a463e. The rules read gradients of one fixed batch after every third epoch; here
they read every step at which a Trace holds gradients, which gives them more to see. They need an accuracy: a Trace has
none, so the geometric mean probability of the right class, exp(-loss), stands in for it, and a run without a
classification loss can only show a loss that is not a number, as in the original.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from benchmarks.baselines._base import Alarm, Baseline, epoch_means, gradient_norm, non_finite, weights
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

VANISH_RATIO, VANISH_FIRST = 1e-3, 1e-4  # beta_1, beta_2
EXPLODE_RATIO = 70.0  # beta_3
DEAD_SHARE = 0.70  # gamma, share of gradient entries that are exactly zero
SWING, SWING_SHARE = 0.03, 0.20  # zeta, eta
SLOW_GAIN = 0.01  # delta
ACCURACY_GATE = 0.6  # Theta of reproduce.py: gradients are judged below it only
HUGE_LOSS = 1e3
HUGE_DATA = 10.0  # omega_1, mean |x|


def judge(trace: Trace) -> tuple[Alarm, ...]:
    """Return the issue of highest priority, as the tool does: data, loss, gradients, then speed."""
    found = [*_data(trace), *_loss(trace), *_gradients(trace), *_pace(trace)]
    return tuple(found[:1])


def _data(trace: Trace) -> list[Alarm]:
    """Inputs whose mean is ten or more."""
    first = trace.layers[0].name if trace.layers else ""
    mean = abs(trace.get(Statistic.INPUT_MEAN, first).median())
    return [Alarm("abnormal-data", first)] if mean >= HUGE_DATA else []


def _loss(trace: Trace) -> list[Alarm]:
    """A loss that is not finite, or a thousand and more."""
    losses = trace.get(Statistic.LOSS)
    bad = losses.steps[~np.isfinite(losses.values) | (losses.values >= HUGE_LOSS)]
    return [Alarm("explode", step=int(bad[0]))] if len(bad) else []


def _accuracy(trace: Trace) -> list[float]:
    """Return the stand-in for the accuracy by epoch; empty without a classification loss."""
    if not len(trace.get(Statistic.CLASSES)):
        return []
    return [math.exp(-loss) for loss in epoch_means(trace.get(Statistic.LOSS).finite, trace.steps)]


def _gradients(trace: Trace) -> list[Alarm]:
    """Vanishing, exploding and dying ReLU, gated by the accuracy."""
    accuracy, names = _accuracy(trace), weights(trace)
    if not accuracy or max(accuracy) >= ACCURACY_GATE or len(names) < 2:
        return []
    bad = next(((place, step) for place, step in non_finite(trace) if place), None)
    if bad is not None:
        return [Alarm("explode", *bad)]
    first, last = gradient_norm(trace, names[0]), gradient_norm(trace, names[-1])
    shared = np.intersect1d(first.steps, last.steps)
    for step in shared.tolist():
        low, high = first.between(step, step).values[0], last.between(step, step).values[0]
        if low < VANISH_FIRST and low < VANISH_RATIO * high:
            return [Alarm("vanish", names[0], step)]
        if high > 0 and low / high > EXPLODE_RATIO:
            return [Alarm("explode", names[0], step)]
    zeros = [(n, trace.get(Statistic.GRAD_ZERO_SHARE, n).median()) for n in names]
    dead = [name for name, share in zeros if share >= DEAD_SHARE]
    return [Alarm("dying-relu", dead[0])] if dead else []


def _pace(trace: Trace) -> list[Alarm]:
    """Oscillating loss and slow convergence, by the accuracy from epoch to epoch."""
    accuracy = _accuracy(trace)
    if len(accuracy) < 3:
        return []
    turns = [abs(b - a) for a, b, c in zip(accuracy, accuracy[1:], accuracy[2:], strict=False) if (b - a) * (c - b) < 0]
    if sum(turn >= SWING for turn in turns) >= SWING_SHARE * len(accuracy):
        return [Alarm("oscillating")]
    gains = [b - a for a, b in pairwise(accuracy)]
    return [Alarm("slow")] if max(gains) < SLOW_GAIN and max(accuracy) < ACCURACY_GATE else []


BASELINE = Baseline(
    name="AUTOTRAINER",
    source="ICSE 2021; shiningrain/AUTOTRAINER@03a463e",
    judge=judge,
    names={
        "vanish": frozenset({"vanishing-gradient"}),
        "explode": frozenset({"exploding-gradient", "non-finite", "gradient-spike"}),
        "dying-relu": frozenset({"dead-units", "no-gradient"}),
        "oscillating": frozenset({"update-too-large"}),
        "slow": frozenset({"update-too-small", "clipping-saturated"}),
        "abnormal-data": frozenset({"input-scale"}),
    },
)
