"""Clipping by norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._clip import bound, cost, grows_in_time, healthy_norms
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.remedies._structure import GROWTH_IN_TIME, SPIKES
from evengrad.rules._words import number, percent


@dataclass(frozen=True)
class ClipNorm(AbstractRemedy):
    """Scale the gradient down to a largest norm, taken from the run's own healthy steps.

    What it changes:
        The gradient between backward and step: g <- g * min(1, c / |g|), its direction kept.

    Why it helps:
        A single step along a huge gradient can undo a training: a bad batch, or a recurrence whose factors multiply
        to 1e15 at some point. Clipped, it is a step like any other.

    When not to:
        Against explosion or vanishing across depth: the layers keep their disproportion, and no run of that kind was
        repaired by it. Against NaN: clip_grad_norm_ spreads it to all parameters. On more than half of the steps it
        is a cut of the learning rate, not a clip.

    Settings:
        quantile: of the healthy norms, "1", that the bound rests on. Own choice: .95, so that usual steps pass.
        margin: factor on it, "1". Theory page: 2 to 10 times the usual norm; the quantile lies above the median, so
            1.5.
        hopeless: norm, in loss/W, above which the run's own norms are no measure. Own choice: 1e3; healthy nets with
            a loss of order 1 lie at 10**1.6 and below (theory page, criteria).
        fallback: bound where they are not, in loss/W. Pascanu et al. 2013: 1.

    Source:
        Pascanu, Mikolov and Bengio, ICML 2013, algorithm 1. Own measurement: of eight faults clipping repaired the
        one in time, and data a hundred times too large.
    """

    quantile: float = 0.95
    margin: float = 1.5
    hopeless: float = 1e3
    fallback: float = 1.0

    act: ClassVar[Act] = Act.CLIP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = GROWTH_IN_TIME | SPIKES
    eases: ClassVar = faults("update-too-large non-finite dead-units", CauseKind.LEARNING_RATE_HIGH) | faults(
        "input-scale", CauseKind.INPUT_SCALE
    )
    place: ClassVar[int] = 6
    messages: ClassVar[Mapping[str, str]] = {
        "why": "bounds steps whose gradient is far larger than usual: at {bound} it acts on {rate} of the steps, and "
        "cuts the effective learning rate to {cut} on average",
        "why-time": "bounds the steps of a gradient that multiplies through time; at {bound} it acts on {rate} of them",
        "why-plain": "bounds steps whose gradient is far larger than usual, at {bound}",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one bound: from the steps before the finding, or the classical one where none was healthy."""
        if finding is not None and finding.rule == "update-too-large" and finding.first_step == 0:
            return ()  # too long from the first step on: that is the learning rate
        lines = optimizer_lines(optimizer(trace, finding))
        threshold = bound(healthy_norms(trace, finding), self.quantile, self.margin)
        if grows_in_time(finding, trace, self.hopeless) or not math.isfinite(threshold):
            threshold = self.fallback
        return (self.change(lines=lines, kind="norm", threshold=threshold),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the share of steps clipped and the cut of the effective learning rate."""
        threshold = change.number("threshold")
        price = cost(trace, threshold, finding)
        if not math.isfinite(price.rate):
            return self.say("why-plain", bound=number(threshold))
        shown = {"bound": number(threshold), "rate": percent(price.rate)}
        if price.rate > 0.5:
            return self.say("why-time", **shown)
        return self.say("why", cut=percent(price.cut), **shown)


REMEDY = ClipNorm()
