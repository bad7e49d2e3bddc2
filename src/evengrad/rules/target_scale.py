"""Regression targets of a size that the output cannot reach, or that tears the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._late import late, late_median
from evengrad.rules._outcome import outcome
from evengrad.rules._progress import State
from evengrad.rules._weights import active_optimizers, largest_updates
from evengrad.rules._words import number, percent

_FAILED = (State.STUCK, State.DIVERGING)


@dataclass(frozen=True)
class _Sizes:
    """Sizes of target and prediction: ``output`` at the start, ``reached`` late in the run."""

    target: float
    spread: float
    output: float
    reached: float

    @property
    def offset(self) -> float:
        """Size of the target's mean."""
        return math.sqrt(max(0.0, self.target**2 - self.spread**2))


@dataclass(frozen=True)
class TargetScale(AbstractRule):
    """The targets are far from the size that the loss is made for, and the run spends itself on their scale.

    What it measures:
        Root mean square of the targets and their spread between samples, beside the size of the predictions at the
        start and late in the run; the first updates; and whether the loss got below what a constant answer costs. Of a
        binary cross-entropy: whether the targets can be probabilities at all.

    Why it hurts:
        An untrained net answers with values of about 1. The gradient of a squared error grows with the distance to the
        target:
        targets of 1e4 make the first step ten thousand times too long, or, under Adam, take ten thousand steps to
        reach. Targets of 1e-4 are buried in the net's own first output. A binary cross-entropy of targets above 1 has
        no smallest value: the loss falls below 0 and on without end, and the weights grow with it.

    When it misleads:
        Adam reaches targets of some tens in a few hundred steps; a run that gets there is healthy. Targets that cannot
        be predicted from the input (noise) keep the loss where it is at any scale: then only predictions that have not
        arrived at the targets' mean, or are still on their way, tell that scale is the reason.

    Thresholds:
        large, small: root mean square of the targets, "x". The data criterion of the theory page ([0.1, 10]), applied
            to targets.
        apart: target's size over the first prediction's, "1". Own choice: a default initialisation starts at 0.1 to
            0.3.
        update: relative update of a first step, "1" (theory page: above 0.3), which must be below it for unit targets.
        reached: prediction's late size over what it must reach, "1". Own choice.
        growing: prediction's size at the end over its size half-way, "1", that shows it is on its way. Own choice.
        probable: rms of a binary cross-entropy's targets, "1". Probabilities cannot exceed 1; the rest is rounding.
        above: prediction's late size over that of small targets, "1". Own choice.

    Source:
        LeCun et al. 1998, "Efficient BackProp", section 4.5 (target values); keras issue 510 and tf-agents issue 622.
    """

    large: float = 10.0
    small: float = 0.1
    apart: float = 10.0
    update: float = 0.3
    reached: float = 0.5
    growing: float = 1.3
    above: float = 3.0
    probable: float = 1.01

    messages: ClassVar[Mapping[str, str]] = {
        "diverges": "Targets are of size {target}, first predictions of size {output}: the loss and its gradient "
        "are so large that the run diverges.",
        "tears": "Targets are of size {target}, first predictions of size {output}: the first update changes "
        "weights by {update} times their size, and nothing is learned after it.",
        "unreached": "Targets are of size {target}; after {steps} steps predictions have reached {reached}, {share}"
        " of what they must.",
        "buried": "Targets are of size {target}; predictions are still of size {reached}, {times} times as large.",
        "beyond": "The loss is a binary cross-entropy, whose targets are probabilities from 0 to 1; these are of size "
        "{target}, so that the loss has no smallest value.",
        "cause-beyond": "targets of size {target} where at most 1 has a meaning",
        "cause-large": "targets of size {target} where about 1 is expected",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding when the targets' size is what the run suffers from."""
        probability = trace.get(Statistic.BINARY_TARGET_RMS).median()
        if probability > self.probable:
            return (self._beyond(trace, probability),)
        sizes = _Sizes(
            trace.get(Statistic.TARGET_RMS).median(), trace.get(Statistic.TARGET_SPREAD).median(),
            trace.get(Statistic.OUTPUT_RMS).finite.first(), late_median(trace.get(Statistic.OUTPUT_RMS)),
        )  # fmt: skip
        state = outcome(trace).state
        if not sizes.target > 0 or state not in (*_FAILED, State.LEARNING):
            return ()
        if sizes.target > self.large and sizes.target > self.apart * sizes.output:
            return self._too_large(trace, sizes, state)
        if sizes.target < self.small and sizes.reached > self.above * sizes.target and state is not State.LEARNING:
            times = number(sizes.reached / sizes.target)
            evidence = Evidence("size of the predictions", sizes.reached, self.above * sizes.target, "x")
            return (self._finding(trace, sizes, state, evidence, "buried", reached=number(sizes.reached), times=times),)
        return ()

    def _beyond(self, trace: Trace, size: float) -> Finding:
        """Return the finding on targets of a binary cross-entropy that are no probabilities."""
        text, key, values = self.say("beyond", target=number(size))
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            last_step=max(0, trace.steps - 1),
            evidence=(Evidence("size of the targets", size, self.probable, "1"),),
            cause=self.cause(CauseKind.TARGET_SCALE, 1.0, "cause-beyond", target=number(size)),
            message_key=key,
            values=values,
        )

    def _too_large(self, trace: Trace, sizes: _Sizes, state: State) -> tuple[Finding, ...]:
        first = next(iter(largest_updates(trace)), None)
        ratio = first.ratio if first is not None and first.step <= 2 else math.nan
        # With targets of unit size the gradient of a squared error would be smaller by their size.
        own_fault = ratio / sizes.target > self.update and all(o.family == "linear" for o in active_optimizers(trace))
        if own_fault:
            return ()
        output = number(sizes.output)
        evidence = Evidence(
            "size of the targets over the first predictions", sizes.target / sizes.output, self.apart, "1"
        )
        if state is State.DIVERGING:
            return (self._finding(trace, sizes, state, evidence, "diverges", output=output),)
        if state is State.STUCK and ratio > self.update:
            shown = {"output": output, "update": number(ratio)}
            return (self._finding(trace, sizes, state, evidence, "tears", **shown),)
        goal = sizes.offset if sizes.offset > sizes.spread else sizes.spread
        if sizes.reached >= self.reached * goal or not (sizes.offset > self.large or self._grows(trace)):
            return ()
        evidence = Evidence("size of the predictions", sizes.reached, self.reached * goal, "x")
        shown = {"steps": str(trace.steps), "reached": number(sizes.reached), "share": percent(sizes.reached / goal)}
        return (self._finding(trace, sizes, state, evidence, "unreached", **shown),)

    def _grows(self, trace: Trace) -> bool:
        """Whether predictions are still on their way up at the end."""
        outputs = late(trace.get(Statistic.OUTPUT_RMS))
        return len(outputs) >= 2 and outputs.last() > self.growing * outputs.first()

    def _finding(
        self, trace: Trace, sizes: _Sizes, state: State, evidence: Evidence, key: str, **shown: str
    ) -> Finding:
        text, qualified, values = self.say(key, target=number(sizes.target), **shown)
        bound = self.large if sizes.target > 1 else self.small
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if state in _FAILED else Severity.WARNING,
            message=text,
            first_step=0,
            last_step=max(0, trace.steps - 1),
            evidence=(Evidence("size of the targets", sizes.target, bound, "x"), evidence),
            cause=self.cause(CauseKind.TARGET_SCALE, 1.0, "cause-large", target=number(sizes.target)),
            message_key=qualified,
            values=values,
        )


RULE = TargetScale()
