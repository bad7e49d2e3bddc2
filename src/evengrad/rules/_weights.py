"""How far optimizer steps moved the weights, and how far the weights have grown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.core.info import OptimizerInfo, ParamInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._words import number, percent

_SMALLEST = 0.1  # of 1/sqrt(fan_in): a tensor that begins below it was meant to begin near zero (LoRA's B, ReZero)
SHRUNK = 0.25  # of a tensor's first size: regularisation that helps was not seen to take so much in a run's first part


@dataclass(frozen=True)
class Update:
    """The largest relative change of a weight tensor in one step: rms(ΔW)/rms(W)."""

    step: int
    parameter: str
    ratio: float


def matrices(trace: Trace) -> tuple[str, ...]:
    """Return the weight tensors for which a relative change means something.

    Biases, gains and tensors that start at (or next to) zero are left out: they must grow by more than their own size.
    """
    return tuple(info.name for info in _matrices(trace))


def _matrices(trace: Trace) -> tuple[ParamInfo, ...]:
    return tuple(info for info in trace.parameters if _is_matrix(trace, info))


def _is_matrix(trace: Trace, info: ParamInfo) -> bool:
    if len(info.shape) < 2 or info.numel == 0:
        return False
    fan_in = info.numel / info.shape[0]
    return trace.get(Statistic.WEIGHT_RMS, info.name).first() >= _SMALLEST / math.sqrt(fan_in)


def largest_updates(trace: Trace) -> tuple[Update, ...]:
    """Return, for each step whose updates were measured, the weight tensor that changed most.

    RMSprop's running mean starts empty: with alpha 0.99 its first step is ten times as long as those that follow, and
    harmless. Its updates are taken as they would be with a full one.

    Args:
        trace: The run.

    Returns:
        One update per measured step, by step.
    """
    found: dict[int, Update] = {}
    memories = {optimizer.index: _memory(optimizer) for optimizer in trace.optimizers}
    for info in _matrices(trace):
        ratios = trace.get(Statistic.UPDATE_RATIO, info.name).finite
        filled = np.sqrt(1 - memories.get(info.optimizer, 0.0) ** (ratios.steps + 1.0))
        for step, ratio in zip(ratios.steps.tolist(), (ratios.values * filled).tolist(), strict=True):
            if step not in found or ratio > found[step].ratio:
                found[step] = Update(step, info.name, ratio)
    return tuple(found[step] for step in sorted(found))


def _memory(optimizer: OptimizerInfo) -> float:
    """Return the decay of an uncorrected running mean of squared gradients (RMSprop); 0 for other optimizers."""
    if "rmsprop" not in optimizer.kind.lower():
        return 0.0
    return max((group.get("alpha", 0.0) for group in optimizer.groups), default=0.0)


def typical_update(trace: Trace) -> float:
    """Return the median over weight tensors of the median relative change per step; nan when none was measured."""
    ratios = [trace.get(Statistic.UPDATE_RATIO, name).median() for name in matrices(trace)]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return float(np.median(known)) if known else math.nan


def weight_growth(trace: Trace, before: int | None = None) -> tuple[float, str]:
    """Return by how many decades a weight tensor has grown since its first measurement, and which grew most.

    Args:
        trace: The run.
        before: Only measurements before this step count.
    """
    best = (0.0, "")
    for name in matrices(trace):
        sizes = trace.get(Statistic.WEIGHT_RMS, name).finite
        kept = sizes.values if before is None else sizes.values[sizes.steps < before]
        if len(kept) and kept[0] > 0:
            best = max(best, (float(np.log10(kept.max() / kept[0])), name))
    return best


@dataclass(frozen=True)
class Decay:
    """Weights that weight decay has shrunk: their size over the first one, and the settings that did it."""

    left: float
    parameter: str
    coefficient: float
    rate: float

    @property
    def per_step(self) -> float:
        """Share of a weight that decay takes in one step, "1"."""
        return self.coefficient * self.rate

    def words(self) -> dict[str, str]:
        """Return its numbers as the sentences about it need them."""
        return {
            "coefficient": number(self.coefficient),
            "rate": number(self.rate),
            "part": percent(self.per_step),
            "parameter": self.parameter,
            "left": percent(self.left),
        }


def decayed(trace: Trace) -> Decay | None:
    """Return the weight tensor that weight decay has shrunk most; None where none has lost most of its size to it.

    Decay alone multiplies a weight by exp(-lr * weight_decay) per step: a tensor counts where that explains at least
    half of the decades that it has lost, and it has lost three quarters of its size.
    """
    found: Decay | None = None
    for info in _matrices(trace):
        optimizer = trace.optimizer_of(info.name)
        if optimizer is None or not 0 <= info.group < len(optimizer.groups):
            continue
        coefficient = optimizer.groups[info.group].get("weight_decay", 0.0)
        rate = trace.get(Statistic.LEARNING_RATE, f"{info.optimizer}/{info.group}").median()
        sizes = trace.get(Statistic.WEIGHT_RMS, info.name).finite
        if not (coefficient > 0 and rate > 0 and len(sizes) and sizes.first() > 0 and sizes.last() > 0):
            continue
        left = sizes.last() / sizes.first()
        explained = coefficient * rate * int(sizes.steps[-1] - sizes.steps[0])
        if left < SHRUNK and explained > -math.log(left) / 2 and (found is None or left < found.left):
            found = Decay(left, info.name, coefficient, rate)
    return found


def active_optimizers(trace: Trace) -> tuple[OptimizerInfo, ...]:
    """Return the optimizers that were seen at work; all of them where that cannot be told.

    A process may hold others: of an earlier stage, or of another model.
    """
    working = {
        info.optimizer
        for info in trace.parameters
        if any(len(trace.get(kind, info.name)) for kind in (Statistic.UPDATE_RATIO, Statistic.GRAD_RMS))
    }
    return tuple(o for o in trace.optimizers if o.index in working) or trace.optimizers


def learning_rate(trace: Trace) -> float:
    """Return the largest learning rate of the optimizers at work; nan when none is known."""
    working = {optimizer.index for optimizer in active_optimizers(trace)}
    subjects = [name for name in trace.subjects(Statistic.LEARNING_RATE) if int(name.partition("/")[0]) in working]
    return max(
        (float(trace.get(Statistic.LEARNING_RATE, name).finite.values.max()) for name in subjects), default=math.nan
    )
