"""Clipping that acts on nearly every step: a cut of the learning rate under another name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._progress import State, progress
from evengrad.rules._weights import active_optimizers, largest_updates, typical_update
from evengrad.rules._words import number, percent


@dataclass(frozen=True)
class ClippingSaturated(AbstractRule):
    """Clipping by norm acts on nearly every step, and cuts the gradient to a small part.

    What it measures:
        The share of steps with a clip coefficient below 1 and the median coefficient, which is the factor by which the
        clip divides the learning rate of an optimizer without its own scaling (SGD).

    Why it hurts:
        A bound far below the usual norm turns the optimizer into one with a fixed step length: 20 times too small a
        bound is a 20 times smaller learning rate, and the spikes that clipping is for are no longer told from ordinary
        steps.

    When it misleads:
        Many recipes clip nearly always and train well (a large learning rate with a small bound is a normalised
        descent), so nothing is said above the information level unless the loss stays where it was and the weights
        hardly move. Adam and its relatives divide a constant factor out again: only when the clipped gradient comes
        near epsilon is the clip felt. A coefficient that is seldom far below 1 is clipping at work.

    Thresholds:
        rate: share of steps, "1", that are clipped. Theory page, remedies: more than half is a learning-rate cut;
            0.9 leaves the recipes that clip most of the time alone.
        coefficient: median clip coefficient, "1"; a tenth is a decade of learning rate. Own choice.
        travel: median relative update times the number of steps, "1": how far a typical weight tensor could have moved
            at most, in units of its size. Measured on digits classifiers: runs that stayed at ln 10 travelled up to
            0.06, slow ones 0.12 to 0.2, those that learned well 0.46 and more (with batch normalisation less).
        sane: largest relative update, "1", up to which the step without the clip would have been one that some
            learning rate near it bears: ten times the 0.3 of the theory page. A clip that holds an exploding net
            together is not the fault.
        eps_share: mean share of epsilon in Adam's denominator, "1" (theory page: severe above 0.5).
        fewest: clipped steps below which nothing is said. Own choice.

    Source:
        Pascanu et al., ICML 2013, section 3.2 (clipping, and its threshold as a multiple of the mean norm);
        wandb/senpai issue 978 (every batch clipped, twentyfold cut).
    """

    rate: float = 0.9
    coefficient: float = 0.1
    travel: float = 0.25
    sane: float = 3.0
    eps_share: float = 0.5
    fewest: int = 10

    messages: ClassVar[Mapping[str, str]] = {
        "stalls": "Clipping acts on {rate} of the steps and leaves {coefficient} of the gradient: the learning rate"
        " is cut {cut} times, and the loss hardly falls.",
        "habit": "Clipping acts on {rate} of the steps and leaves {coefficient} of the gradient: it works as a cut "
        "of the learning rate by {cut}.",
        "cause": "the bound {max_norm} lies far below the usual norm {norm} of the gradient",
        "cause-unknown": "the bound lies far below the usual norm of the gradient",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return a warning when the cut stalls the run, information when it is only large."""
        coefficients = trace.get(Statistic.CLIP_COEF).finite
        clipped = coefficients.values < 1.0
        if int(clipped.sum()) < self.fewest or clipped.mean() <= self.rate:
            return ()
        typical = coefficients.median()
        if not 0 < typical < self.coefficient:
            return ()
        stalls = self._stalls(trace, typical)
        rate = float(clipped.mean())
        text, key, values = self.say(
            "stalls" if stalls else "habit",
            rate=percent(rate), coefficient=percent(typical) if typical >= 0.01 else number(typical),
            cut=number(1 / typical),
        )  # fmt: skip
        steps = coefficients.steps[clipped]
        return (
            Finding(
                rule=self.id,
                severity=Severity.WARNING if stalls else Severity.INFO,
                message=text,
                first_step=int(steps[0]),
                last_step=int(steps[-1]),
                evidence=(
                    Evidence("steps on which clipping acts", rate, self.rate, "1"),
                    Evidence("median clip coefficient", typical, self.coefficient, "1"),
                ),
                cause=self._bound(trace),
                message_key=key,
                values=values,
            ),
        )

    def _stalls(self, trace: Trace, typical: float) -> bool:
        """Whether the loss has hardly moved and the cut is what keeps the weights where they are."""
        state = progress(trace).state
        if state not in (State.STUCK, State.LEARNING):
            return False
        shares = [trace.get(Statistic.EPS_SHARE, name).median() for name in trace.subjects(Statistic.EPS_SHARE)]
        if any(optimizer.family == "adaptive" for optimizer in active_optimizers(trace)):
            return state is State.STUCK and bool(shares) and float(np.nanmedian(shares)) > self.eps_share
        largest = max((update.ratio for update in largest_updates(trace)), default=math.inf)
        return typical_update(trace) * trace.steps < self.travel and largest / typical < self.sane

    def _bound(self, trace: Trace) -> Cause:
        bound, norm = trace.get(Statistic.CLIP_MAX_NORM).median(), trace.get(Statistic.GRAD_NORM).median()
        kind = CauseKind.LEARNING_RATE_LOW
        if not (bound > 0 and norm > 0):
            return self.cause(kind, 1.0, "cause-unknown")
        return self.cause(kind, 1.0, "cause", max_norm=number(bound), norm=number(norm))


RULE = ClippingSaturated()
