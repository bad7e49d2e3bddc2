"""Optimizer steps too small to move anything within the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._progress import State, progress
from evengrad.rules._words import lines, number


@dataclass(frozen=True)
class UpdateTooSmall(AbstractRule):
    """No weight anywhere can move noticeably in the whole run.

    What it measures:
        The update ratio rms(ΔW)/rms(W) of the parameter that changes *most*, at its best, and what it adds up to over all
        steps of the run if every step went the same way; and that the loss does not fall.

    Why it hurts:
        A network whose weights have moved by a thousandth of their size at the end computes what it computed at the start.

    When it misleads:
        If only some layers move too little, the gradient is lost on its way (``vanishing-gradient``), and the largest update
        is sound. Fine-tuning moves weights little and improves all the same. A run that is done moves no more. During a
        warm-up the rate is meant to be small; in the tail of a schedule as well: only the largest update of the run counts,
        and a rate that still rises at the end silences the rule. A zero-initialised parameter moves by more than its size
        and is left out.

    Thresholds:
        travel: sum of the largest update ratio over the run, "1": the farthest a weight can have come. Own choice: a
            thousandth of its size.
        ratio: update ratio of one step, "1". Theory page, criteria: trained nets 1.3e-6 (ReZero) to .033.
        adaptive_ratio: the same for optimizers whose step is the learning rate over the weight's size. Own choice: Adam at
            its usual rates shows 1e-4 and more; fine-tuning at 1e-6 still 2e-5.
        steps: shortest run that is judged. Own choice: 20.

    Source:
        Theory page, criteria (update/weight per step); Karpathy's guide value of 1e-3 for a healthy run.
    """

    travel: float = 1e-3
    ratio: float = 1e-6
    adaptive_ratio: float = 1e-5
    steps: int = 20

    messages: ClassVar[Mapping[str, str]] = {
        "tiny": "No step changes any weight by more than {ratio} of its size; all {steps} steps together move `{parameter}`, "
        "which moves most, by at most {travel} of it.",
        "none": "No step changes any weight: the learning rate is {rate}.",
        "cause-rate": "the learning rate is {rate}; the gradient reaches all layers",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return a finding when even the parameter that moves most has not moved, and nothing was learned."""
        run = progress(trace)
        best = _largest(trace)
        if best is None or trace.steps < self.steps or run.state is not State.STUCK or _rate_rises(trace):
            return ()
        name, ratio = best
        optimizer = trace.optimizer_of(name)
        adaptive = optimizer is not None and optimizer.family == "adaptive"
        bound = self.adaptive_ratio if adaptive else self.ratio
        if ratio >= bound or ratio * trace.steps >= self.travel:
            return ()
        rate = number(_highest_rate(trace))
        text, key, values = (
            self.say("none", rate=rate)
            if ratio == 0
            else self.say(
                "tiny", ratio=number(ratio), steps=number(trace.steps), parameter=name, travel=number(ratio * trace.steps)
            )
        )
        held = tuple(info.name for info in trace.parameters if info.optimizer >= 0 and info.requires_grad)
        return (
            Finding(
                rule=self.id,
                severity=Severity.ERROR,
                message=text,
                first_step=0,
                last_step=trace.steps - 1,
                parameters=held,
                source=lines(optimizer.source if optimizer is not None else None),
                evidence=(
                    Evidence("largest update ratio of a step", ratio, bound, "1", name),
                    Evidence("farthest that a weight can have moved", ratio * trace.steps, self.travel, "1", name),
                ),
                cause=self.cause(CauseKind.LEARNING_RATE_LOW, 1.0, "cause-rate", rate=rate),
                message_key=key,
                values=values,
            ),
        )


def _largest(trace: Trace) -> tuple[str, float] | None:
    """Return the parameter with the largest update ratio at any probe, and that ratio; None when none was measured.

    Parameters that start at zero, or far smaller than the typical weight, are left out: their own updates make them.
    """
    first = {name: trace.get(Statistic.WEIGHT_RMS, name).first() for name in trace.subjects(Statistic.UPDATE_RATIO)}
    sizes = sorted(size for size in first.values() if size > 0)
    if not sizes:
        return None
    typical = sizes[len(sizes) // 2]
    peaks = {
        name: float(ratios.values.max())
        for name, size in first.items()
        if size > 1e-2 * typical and len(ratios := trace.get(Statistic.UPDATE_RATIO, name).finite)
    }
    if not peaks:
        return None
    name = max(peaks, key=lambda key: peaks[key])
    return name, peaks[name]


def _rate_rises(trace: Trace) -> bool:
    """Return whether a learning rate is at its highest at the end, having begun lower: a warm-up that is not over."""
    for group in trace.subjects(Statistic.LEARNING_RATE):
        rates = trace.get(Statistic.LEARNING_RATE, group).finite
        if len(rates) > 1 and rates.last() > 1.5 * rates.first() and rates.last() >= rates.values.max():
            return True
    return False


def _highest_rate(trace: Trace) -> float:
    """Return the highest learning rate of the run; nan when none is known."""
    rates = [trace.get(Statistic.LEARNING_RATE, group).finite for group in trace.subjects(Statistic.LEARNING_RATE)]
    return max((float(rate.values.max()) for rate in rates if len(rate)), default=math.nan)


RULE = UpdateTooSmall()
