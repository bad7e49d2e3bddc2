"""Amazon SageMaker Debugger's built-in rules on gradients, activations and weights.

Source: AWS documentation, "List of Debugger Built-in Rules", defaults of each rule; the rules' own code is not public.
By default tensors are saved every 500 steps; here the rules read every step at which a Trace holds a quantity.
``LossNotDecreasing`` is a second baseline: it is about the loss alone and fires on most runs that have a plateau.
"""

from __future__ import annotations

import numpy as np

from benchmarks.baselines._base import Alarm, Baseline, mean_abs_gradient, non_finite, weights
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

VANISH_MEAN_ABS = 1e-7
DEAD_LAYER_SHARE = 0.50  # of a layer's ReLUs
VARIANCE_RATIO = 10.0  # largest over smallest variance of the layers' weights at the start
SATURATED_LAYER_SHARE = 0.50
UPDATE_LARGE, UPDATE_SMALL = 10.0, 1e-8
LOSS_STEPS, LOSS_FALL = 10, 0.1  # per cent


def judge(trace: Trace) -> tuple[Alarm, ...]:
    """Return the alarms of the rules on tensors; each stops the job on its own."""
    found = [*_vanishing(trace), *_exploding(trace), *_dead(trace), *_poor_init(trace), *_saturated(trace)]
    return (*found, *_update_ratio(trace), *_all_zero(trace))


def judge_with_loss(trace: Trace) -> tuple[Alarm, ...]:
    """Return those and the rule on the loss."""
    return (*judge(trace), *_loss_not_decreasing(trace))


def _vanishing(trace: Trace) -> list[Alarm]:
    """VanishingGradient: mean absolute gradient below the threshold."""
    alarms = []
    for name in weights(trace):
        series = mean_abs_gradient(trace, name)
        low = series.steps[series.values < VANISH_MEAN_ABS]
        if len(low):
            alarms.append(Alarm("VanishingGradient", name, int(low[0])))
    return alarms


def _exploding(trace: Trace) -> list[Alarm]:
    """ExplodingTensor: NaN or Inf."""
    return [Alarm("ExplodingTensor", place, step) for place, step in non_finite(trace)]


def _dead(trace: Trace) -> list[Alarm]:
    """DeadRelu: more than half of a layer's ReLUs inactive."""
    alarms = []
    for site in trace.activations:
        series = trace.get(Statistic.DEAD, site.name)
        high = series.steps[series.values > DEAD_LAYER_SHARE]
        if "relu" in site.operation.lower() and len(high):
            alarms.append(Alarm("DeadRelu", site.name, int(high[0])))
    return alarms


def _poor_init(trace: Trace) -> list[Alarm]:
    """PoorWeightInitialization: ratio of the layers' weight variances at the start."""
    sizes = [trace.get(Statistic.WEIGHT_RMS, name).first() ** 2 for name in weights(trace)]
    known = [size for size in sizes if np.isfinite(size)]
    if len(known) > 1 and max(known) > VARIANCE_RATIO * min(known):
        return [Alarm("PoorWeightInitialization")]
    return []


def _saturated(trace: Trace) -> list[Alarm]:
    """SaturatedActivation: more than half of a layer's sigmoid or tanh units at an extreme."""
    alarms = []
    for site in trace.activations:
        series = trace.get(Statistic.SATURATED, site.name)
        high = series.steps[series.values > SATURATED_LAYER_SHARE]
        if site.operation.lower() in ("sigmoid", "tanh") and len(high):
            alarms.append(Alarm("SaturatedActivation", site.name, int(high[0])))
    return alarms


def _update_ratio(trace: Trace) -> list[Alarm]:
    """WeightUpdateRatio outside its band."""
    alarms = []
    for name in weights(trace):
        series = trace.get(Statistic.UPDATE_RATIO, name)
        large, small = series.steps[series.values > UPDATE_LARGE], series.steps[series.values < UPDATE_SMALL]
        if len(large):
            alarms.append(Alarm("WeightUpdateRatio-large", name, int(large[0])))
        if len(small):
            alarms.append(Alarm("WeightUpdateRatio-small", name, int(small[0])))
    return alarms


def _all_zero(trace: Trace) -> list[Alarm]:
    """AllZero: a gradient of which every entry is zero."""
    zero = [(name, trace.get(Statistic.GRAD_RMS, name)) for name in weights(trace)]
    return [Alarm("AllZero", n, int(s.steps[s.values == 0.0][0])) for n, s in zero if (s.values == 0.0).any()]


def _loss_not_decreasing(trace: Trace) -> list[Alarm]:
    """LossNotDecreasing: less than a tenth of a per cent in ten steps."""
    losses = trace.get(Statistic.LOSS).finite
    for step in range(LOSS_STEPS, len(losses), LOSS_STEPS):
        before, now = losses.values[step - LOSS_STEPS], losses.values[step]
        if before != 0 and 100 * (before - now) / abs(before) < LOSS_FALL:
            return [Alarm("LossNotDecreasing", step=int(losses.steps[step]))]
    return []


_NAMES = {
    "VanishingGradient": frozenset({"vanishing-gradient", "precision-loss", "no-gradient"}),
    "ExplodingTensor": frozenset({"non-finite", "exploding-gradient"}),
    "DeadRelu": frozenset({"dead-units"}),
    "PoorWeightInitialization": frozenset({"bad-initialisation"}),
    "SaturatedActivation": frozenset({"saturated-activation"}),
    "WeightUpdateRatio-large": frozenset({"update-too-large"}),
    "WeightUpdateRatio-small": frozenset({"update-too-small", "clipping-saturated"}),
    "AllZero": frozenset({"no-gradient", "precision-loss", "vanishing-gradient"}),
    "LossNotDecreasing": frozenset({"update-too-small", "clipping-saturated"}),
}

BASELINE = Baseline(
    name="SageMaker (tensors)",
    source="AWS documentation, List of Debugger Built-in Rules",
    judge=judge,
    names=_NAMES,
)
WITH_LOSS = Baseline(
    name="SageMaker (tensors and loss)",
    source="AWS documentation, List of Debugger Built-in Rules",
    judge=judge_with_loss,
    names=_NAMES,
)
