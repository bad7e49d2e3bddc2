"""DeepDiagnosis' symptom checks.

Source: Wardat, Cruz, Le and Rajan, ICSE 2022; constants from ``callback/callbacks.py`` of
github.com/DeepDiagnosis/ICSE2022 at 500b017. The checks run on the first batch after each epoch and stop at the first
symptom; here they run on the measured steps in order. Its variance check on weights takes the variance of a single
number and can never fire, so it is left out; so are the checks of the accuracy and of the output's range.
"""

from __future__ import annotations

import numpy as np

from benchmarks.baselines._base import Alarm, Baseline, epoch_means, mean_abs_gradient, non_finite, weights
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

VANISH_MEAN_ABS = 1e-7
DEAD_SHARE = 0.70  # checked after the last epoch only
SATURATED_SHARE = (
    0.50  # of pre-activations beyond 5; a Trace holds the share with a derivative below 5 % of its largest
)
UNCHANGED_EPOCHS = 5


def judge(trace: Trace) -> tuple[Alarm, ...]:
    """Return the first symptom, as the callback does: it stops the run."""
    found = [*_numerical(trace), *_vanishing(trace), *_saturated(trace), *_unchanged_loss(trace), *_dead(trace)]
    return tuple(sorted(found, key=lambda alarm: alarm.step)[:1])


def _numerical(trace: Trace) -> list[Alarm]:
    """A quantity that is NaN, infinite, or exactly zero."""
    alarms = [Alarm("numerical-error", place, step) for place, step in non_finite(trace)]
    watched = [(Statistic.GRAD_RMS, p) for p in weights(trace)] + [(Statistic.WEIGHT_RMS, p) for p in weights(trace)]
    for statistic, subject in [(Statistic.LOSS, ""), *watched]:
        series = trace.get(statistic, subject)
        zero = series.steps[series.values == 0.0]
        if len(zero):
            alarms.append(Alarm("numerical-error", subject, int(zero[0])))
    return alarms


def _vanishing(trace: Trace) -> list[Alarm]:
    """A weight whose mean absolute gradient is below 1e-7."""
    alarms = []
    for name in weights(trace):
        series = mean_abs_gradient(trace, name)
        low = series.steps[series.values < VANISH_MEAN_ABS]
        if len(low):
            alarms.append(Alarm("vanishing-gradient", name, int(low[0])))
    return alarms


def _saturated(trace: Trace) -> list[Alarm]:
    """An activation of which more than half is saturated."""
    alarms = []
    for site in trace.activations:
        if site.operation.lower() not in ("sigmoid", "tanh"):
            continue
        series = trace.get(Statistic.SATURATED, site.name)
        high = series.steps[series.values > SATURATED_SHARE]
        if len(high):
            alarms.append(Alarm("saturated-activation", site.name, int(high[0])))
    return alarms


def _unchanged_loss(trace: Trace) -> list[Alarm]:
    """A loss that has not improved for five epochs."""
    means = epoch_means(trace.get(Statistic.LOSS), trace.steps)
    for epoch in range(UNCHANGED_EPOCHS, len(means)):
        recent = means[epoch - UNCHANGED_EPOCHS : epoch + 1]
        if np.isfinite(recent).all() and min(recent[1:]) >= recent[0]:
            return [Alarm("unchanged-loss", step=epoch * trace.steps // len(means))]
    return []


def _dead(trace: Trace) -> list[Alarm]:
    """An activation of which seventy per cent is dead at the end."""
    return [
        Alarm("dead-node", site.name, trace.steps)
        for site in trace.activations
        if trace.get(Statistic.DEAD, site.name).last() >= DEAD_SHARE
    ]


BASELINE = Baseline(
    name="DeepDiagnosis",
    source="ICSE 2022; DeepDiagnosis/ICSE2022@500b017",
    judge=judge,
    names={
        "numerical-error": frozenset({"non-finite", "no-gradient", "precision-loss"}),
        "vanishing-gradient": frozenset({"vanishing-gradient", "precision-loss", "no-gradient"}),
        "saturated-activation": frozenset({"saturated-activation"}),
        "unchanged-loss": frozenset({"update-too-small", "clipping-saturated", "constant-output"}),
        "dead-node": frozenset({"dead-units"}),
    },
)
