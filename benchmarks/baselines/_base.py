"""What every baseline is, and the quantities that several of them need."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace

NORMAL_MEAN_ABS = math.sqrt(2 / math.pi)  # mean |g| over rms g of normal entries; a Trace holds the rms
EPOCHS = 10  # the cases count steps; a rule that counts epochs is given a run of ten


@dataclass(frozen=True)
class Alarm:
    """What a tool says: its own word for the symptom, where, and when."""

    symptom: str
    place: str = ""
    step: int = 0


@dataclass(frozen=True)
class Baseline:
    """A tool's rules. ``names`` maps its words for a symptom to the ids of the rules that mean the same."""

    name: str
    source: str
    judge: Callable[[Trace], tuple[Alarm, ...]]
    names: dict[str, frozenset[str]]


def weights(trace: Trace) -> tuple[str, ...]:
    """Return the names of the matrices among the parameters with gradients, in the order of the layers."""
    known = {parameter.name: parameter for parameter in trace.parameters}
    ordered = [name for layer in trace.layers for name in layer.parameters]
    ordered += [name for name in known if name not in ordered]
    measured = set(trace.subjects(Statistic.GRAD_RMS))
    return tuple(n for n in dict.fromkeys(ordered) if n in measured and n in known and len(known[n].shape) > 1)


def gradient_norm(trace: Trace, parameter: str) -> Series:
    """Return the L2 norm of a parameter's gradient at the steps where it was measured."""
    series = trace.get(Statistic.GRAD_RMS, parameter)
    info = trace.parameter(parameter)
    return Series(series.steps, series.values * math.sqrt(info.numel if info else 1))


def mean_abs_gradient(trace: Trace, parameter: str) -> Series:
    """Return the mean absolute gradient of a parameter, from its rms as if its entries were normal."""
    series = trace.get(Statistic.GRAD_RMS, parameter)
    return Series(series.steps, series.values * NORMAL_MEAN_ABS)


def epoch_means(series: Series, steps: int) -> list[float]:
    """Return the mean of a series over each tenth of the run that has a measurement."""
    edges = np.linspace(0, max(steps, 1), EPOCHS + 1)
    parts = [series.values[(series.steps >= a) & (series.steps < b)] for a, b in pairwise(edges)]
    return [float(part.mean()) for part in parts if len(part)]


def non_finite(trace: Trace) -> Iterator[tuple[str, int]]:
    """Yield the loss ("") and the parameters that were seen not to be finite, and at which step first."""
    watched = [(Statistic.LOSS, ""), *((Statistic.GRAD_RMS, p) for p in trace.subjects(Statistic.GRAD_RMS))]
    watched += [(Statistic.WEIGHT_RMS, p) for p in trace.subjects(Statistic.WEIGHT_RMS)]
    for statistic, subject in watched:
        series = trace.get(statistic, subject)
        bad = series.steps[~np.isfinite(series.values)]
        if len(bad):
            yield subject, int(bad[0])
