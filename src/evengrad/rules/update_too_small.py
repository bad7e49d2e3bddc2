"""Optimizer steps too small to move anything within the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule, Values
from evengrad.rules._late import late_median
from evengrad.rules._progress import State, progress
from evengrad.rules._rate import highest_rate
from evengrad.rules._words import lines, number, percent

_ZERO = 1e-6  # a parameter of this size began at zero, and its first updates made it


@dataclass(frozen=True)
class UpdateTooSmall(AbstractRule):
    """No weight anywhere can move noticeably in the whole run.

    What it measures:
        The update ratio rms(ΔW)/rms(W) of the parameter that changes *most*, at its best, and what it adds up to over
        all steps of the run if every step went the same way; and that the loss does not fall.

    Why it hurts:
        A network whose weights have moved by a thousandth of their size at the end computes what it computed at the
        start.

    When it misleads:
        If only some layers move too little, the gradient is lost on its way (``vanishing-gradient``), and the largest
        update is sound. Fine-tuning moves weights little and improves all the same. A run that is done moves no more.
        During a warm-up the rate is meant to be small; in the tail of a schedule as well: only the largest update of
        the run counts, and a rate that still rises at the end silences the rule. A zero-initialised parameter moves by
        more than its size and is left out.

    Thresholds:
        travel: sum of a weight tensor's largest update ratio over the run, "1": the farthest it can have come, momentum
            included. Own choice: a thousandth of its size.
        ratio: update ratio of one step, "1". Theory page, criteria: trained nets 1.3e-6 (ReZero) to .033 in their
            typical tensor; here the largest of all tensors counts. Own choice.
        epsilon: share of eps in the denominator, "1", in every weight tensor. Theory page, criteria: severe above .5.
        decay: learning rate over its peak, "1", below which it has gone. Own choice.
        left: share of the run, "1", that lies behind that. Own choice: half; a schedule's tail is shorter.
        steps: shortest run that is judged. Own choice: 20.

    Source:
        Theory page, criteria (update/weight per step); Karpathy's guide value of 1e-3 for a healthy run.
    """

    travel: float = 1e-3
    ratio: float = 1e-5
    epsilon: float = 0.5
    decay: float = 1e-3
    left: float = 0.5
    steps: int = 20

    messages: ClassVar[Mapping[str, str]] = {
        "tiny": "No step changes any weight by more than {ratio} of its size; all {steps} steps together move "
        "`{parameter}`, which moves most, by at most {travel} of it.",
        "none": "No step changes any weight: the learning rate is {rate}.",
        "epsilon": "In every weight tensor the optimizer divides by its eps ({share}), not by the size of the "
        "gradient: its steps are a fraction of the learning rate.",
        "decayed": "From step {step} on the learning rate is next to nothing ({peak} at its peak, {rate} at the end): "
        "{left} of the run changes no weight.",
        "cause-epsilon": "eps is {eps}, the gradient has size {size}",
        "cause-rate": "the learning rate is {rate}; the gradient reaches all layers",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return a finding when even the parameter that moves most has not moved, and nothing was learned."""
        run = progress(trace)
        best = _largest(trace)
        if best is None or trace.steps < self.steps or run.state is not State.STUCK or _rate_rises(trace):
            return ()
        found = self._tiny(trace, *best) or self._epsilon(trace) or self._decayed(trace)
        return () if found is None else (found,)

    def _tiny(self, trace: Trace, name: str, ratio: float) -> Finding | None:
        """Return the finding on a run whose largest update is tiny."""
        far = ratio * trace.steps  # of a matrix: biases of the last layer move before all else
        if _fastest(trace) >= self.ratio or far >= self.travel:
            return None
        rate = number(highest_rate(trace))
        values = {"ratio": number(ratio), "steps": number(trace.steps), "parameter": name, "travel": number(far)}
        said = self.say("none", rate=rate) if ratio == 0 else self.say("tiny", **values)
        evidence = (
            Evidence("largest update ratio of a step", ratio, self.ratio, "1", name),
            Evidence("farthest that a weight can have moved", far, self.travel, "1", name),
        )
        return self._finding(
            trace, said, evidence, self.cause(CauseKind.LEARNING_RATE_LOW, 1.0, "cause-rate", rate=rate)
        )

    def _epsilon(self, trace: Trace) -> Finding | None:
        """Return the finding on an adaptive optimizer that divides by its epsilon in every weight tensor."""
        matrices = [info.name for info in trace.parameters if info.optimizer >= 0 and len(info.shape) >= 2]
        shares = [
            share for name in matrices if math.isfinite(share := late_median(trace.get(Statistic.EPS_SHARE, name)))
        ]
        if not shares or min(shares) <= self.epsilon:
            return None
        said = self.say("epsilon", share=percent(min(shares)))
        evidence = (Evidence("share of eps in the step's denominator", min(shares), self.epsilon, "1", matrices[0]),)
        optimizer = trace.optimizer_of(matrices[0])
        eps = number(optimizer.groups[0].get("eps", math.nan)) if optimizer is not None and optimizer.groups else "?"
        size = number(trace.get(Statistic.GRAD_RMS, matrices[0]).median())
        cause = self.cause(CauseKind.OPTIMIZER_EPSILON, 1.0, "cause-epsilon", eps=eps, size=size)
        return self._finding(trace, said, evidence, cause)

    def _decayed(self, trace: Trace) -> Finding | None:
        """Return the finding on a schedule that takes the learning rate away long before the end."""
        since, peak = _collapse(trace, self.decay)
        left = (trace.steps - since) / trace.steps
        if left < self.left:
            return None
        rate = number(_lowest_last_rate(trace))
        said = self.say("decayed", step=str(since), peak=number(peak), rate=rate, left=percent(left))
        evidence = (Evidence("share of the run after the learning rate had gone", left, self.left),)
        cause = self.cause(CauseKind.LEARNING_RATE_LOW, 1.0, "cause-rate", rate=rate)
        return self._finding(trace, said, evidence, cause, since)

    def _finding(
        self, trace: Trace, said: tuple[str, str, Values], evidence: tuple[Evidence, ...], cause: Cause, first: int = 0
    ) -> Finding:
        optimizer = trace.optimizers[0] if trace.optimizers else None
        text, key, values = said
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=first,
            last_step=trace.steps - 1,
            parameters=tuple(info.name for info in trace.parameters if info.optimizer >= 0 and info.requires_grad),
            source=lines(optimizer.source if optimizer is not None else None),
            evidence=evidence,
            cause=cause,
            message_key=key,
            values=values,
        )


def _largest(trace: Trace) -> tuple[str, float] | None:
    """Return the weight tensor with the largest update ratio at any probe, and that ratio; None when none was measured.

    Parameters that start at zero, or far smaller than the typical weight, are left out: their own updates make them.
    """
    first = {name: trace.get(Statistic.WEIGHT_RMS, name).first() for name in trace.subjects(Statistic.UPDATE_RATIO)}
    sizes = sorted(size for size in first.values() if size > 0)
    if not sizes:
        return None
    typical = sizes[len(sizes) // 2]
    peaks = {
        name: _peak(trace, name)
        for name, size in first.items()
        if size > 1e-2 * typical and _is_matrix(trace, name) and len(trace.get(Statistic.UPDATE_RATIO, name).finite)
    }
    if not peaks:
        return None
    name = max(peaks, key=lambda key: peaks[key])
    return name, peaks[name]


def _is_matrix(trace: Trace, name: str) -> bool:
    info = trace.parameter(name)
    return info is not None and len(info.shape) >= 2


def _fastest(trace: Trace) -> float:
    """Return the largest update ratio of any parameter that did not start at zero."""
    names = [n for n in trace.subjects(Statistic.UPDATE_RATIO) if trace.get(Statistic.WEIGHT_RMS, n).first() > _ZERO]
    return max(
        (float(r.values.max()) for n in names if len(r := trace.get(Statistic.UPDATE_RATIO, n).finite)), default=0.0
    )


def _peak(trace: Trace, name: str) -> float:
    """Return the largest update ratio of a parameter, as it is once momentum has built up."""
    ratios = trace.get(Statistic.UPDATE_RATIO, name).finite
    optimizer, info = trace.optimizer_of(name), trace.parameter(name)
    momentum = 0.0
    if optimizer is not None and info is not None and 0 <= info.group < len(optimizer.groups):
        momentum = optimizer.groups[info.group].get("momentum", 0.0)
    built = 1 - momentum ** (ratios.steps + 1) if 0 < momentum < 1 else np.ones(len(ratios))
    return float((ratios.values / built).max())


def _collapse(trace: Trace, share: float) -> tuple[int, float]:
    """Return the step from which every learning rate stays below a share of its peak, and the highest peak."""
    since, peak = 0, 0.0
    for group in trace.subjects(Statistic.LEARNING_RATE):
        rates = trace.get(Statistic.LEARNING_RATE, group).finite
        if len(rates) == 0 or not rates.values.max() > 0:
            continue
        peak = max(peak, float(rates.values.max()))
        alive = np.flatnonzero(rates.values >= share * rates.values.max())
        after = int(alive[-1]) + 1
        since = max(since, int(rates.steps[after]) if after < len(rates) else trace.steps)
    return (since, peak) if peak > 0 else (trace.steps, 0.0)


def _lowest_last_rate(trace: Trace) -> float:
    """Return the lowest learning rate that the run ended with; nan when none is known."""
    return min(
        (trace.get(Statistic.LEARNING_RATE, g).last() for g in trace.subjects(Statistic.LEARNING_RATE)),
        default=math.nan,
    )


def _rate_rises(trace: Trace) -> bool:
    """Return whether a learning rate is at its highest at the end, having begun lower: a warm-up that is not over."""
    for group in trace.subjects(Statistic.LEARNING_RATE):
        rates = trace.get(Statistic.LEARNING_RATE, group).finite
        if len(rates) > 1 and rates.last() > 1.5 * rates.first() and rates.last() >= rates.values.max():
            return True
    return False


RULE = UpdateTooSmall()
