"""Optimizer steps that change the weights by more than they can bear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import SourceLine
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._course import highest_rise, levelled_off
from evengrad.rules._outcome import outcome
from evengrad.rules._progress import Progress, State
from evengrad.rules._weights import Update, active_optimizers, decayed, largest_updates, learning_rate
from evengrad.rules._words import lines, module_of, number

_ATTENTION = ("attention", "transformer")


@dataclass(frozen=True)
class UpdateTooLarge(AbstractRule):
    """An optimizer step changes weights by a large part of their own size, and the run does not recover.

    What it measures:
        rms(ΔW)/rms(W) of the weight tensor that changes most, on each step where updates were measured, beside what
        became of the loss. And whether samples that the last layer could tell apart at the start became one and the
        same in the first updates.

    Why it hurts:
        The gradient describes the loss near the weights only. A step of a third of a weight leaves that neighbourhood:
        the loss jumps or oscillates, ReLU units are pushed to where they never fire again, attention collapses to one
        token, and what was learned so far is lost.

    When it misleads:
        Biases, gains and tensors that begin at zero (LoRA's B, ReZero) must grow by more than their size and are left
        out. An early jump that the run recovers from is not reported: the loss must end where it began, or above.
        Adam's first step has the length of the learning rate whatever the gradient is, so narrow weights show a large
        ratio and may still train. RMSprop's running
        mean starts empty, which makes its first step ten times as long: early steps are judged as if it were full.

    Thresholds:
        ratio: relative update of one step, "1". Theory page, criteria: trained nets stayed at or below 0.033; first
            steps above 0.3 (Adam at learning rate 1: 6) did not train.
        settled: median relative update, "1", over the later measured steps, above which a run whose loss jumped and
            that goes nowhere oscillates. Three times the largest that trained on the theory page; own choice.
        jump: highest loss over the first one, "1". Measured on 96 digits classifiers over four decades of learning
            rate:
            runs with a too large update that ended at chance jumped by 1.5 and more; on labels without meaning, sound
            rates jump by less.
        merged: decades by which distinguishability at the last layer falls in the first few updates. Measured on
            transformers of 8 to 18 blocks on digits: 0.7 and less where the run learned, 1.5 where it did not (post-LN,
            Adam at 0.003 from the first step on); warm-up brought that one down to 0.1.
        soon: last step, "steps", that counts as one of the first updates. Own choice.
        collapse, collapsed: decades by which it falls over the run, and the value, "1", below which samples look the
            same (theory page: warn below 1e-5). Own choice of the former.
        thrown: loss of a step over the largest of the ``steady`` ones before it, "1"; healthy spikes reach 9.7 (theory
            page).
        raised: rise of the learning rate, "1", that explains it. Own choice.
        steady: steps before the jump that are compared with it. Own choice.
        unseen: steps after which the rise may be noticed, since rates are read on light steps only. Own choice.
        ramp: part of the largest early learning rate, "1", above which the first one is no warm-up. Own choice.

    Source:
        Theory page, criteria; Xiong et al., ICML 2020 (warm-up and post-LN); Cohen et al., ICLR 2021 (edge of
        stability:
        a step above the stability limit is normal while the loss falls).
    """

    ratio: float = 0.3
    settled: float = 0.1
    jump: float = 1.5
    merged: float = 1.0
    soon: int = 4
    collapse: float = 3.0
    collapsed: float = 1e-5
    ramp: float = 0.5
    thrown: float = 10.0
    raised: float = 3.0
    steady: int = 10
    unseen: int = 50

    messages: ClassVar[Mapping[str, str]] = {
        "diverges": "At step {step} the update changed `{parameter}` by {ratio} times its size, and the loss went "
        "from {first} to {last}.",
        "goes-nowhere": "At step {step} the update changed `{parameter}` by {ratio} times its size; the loss is "
        "{last}, no better than at the start ({first}).",
        "raised": "About step {step} the learning rate was raised {factor} times; the loss, {best} until then, ends at "
        "{last}.",
        "collapses": "The first updates made all samples alike at `{layer}`: what tells them apart fell {times} "
        "times; the loss stays at {last}.",
        "cause-learning-rate": "at the learning rate {rate} each step is too long for these weights",
        "cause-warmup": "the learning rate {rate} applies from the first step on, in a network with attention",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding when large updates go with a loss that ends no better than it began."""
        run = outcome(trace)
        updates = largest_updates(trace)
        raised = self._raised(trace) if run.failing else None
        if raised is not None:
            return (self._rate_finding(trace, run, *raised),)
        large = self._large(updates, highest_rise(trace)) if run.failing else None
        if large is not None:
            return (self._jump(trace, run, large, updates),)
        settled = run.state is State.STUCK or (run.state is State.LEARNING and levelled_off(trace))
        # Weights that decay takes away lose the samples as well, at any learning rate.
        layer = self._collapsed_layer(trace) if settled and decayed(trace) is None else ""
        return (self._collapse(trace, run, layer),) if layer else ()

    def _raised(self, trace: Trace) -> tuple[int, float, float] | None:
        """Return step, new learning rate and factor where a rise of the rate threw a steady run off its course."""
        losses = trace.get(Statistic.LOSS).finite
        sizes = np.abs(losses.values)
        for i in range(self.steady, len(sizes)):
            if not 0 < self.thrown * float(sizes[i - self.steady : i].max()) < sizes[i]:
                continue
            at = int(losses.steps[i])
            for name in trace.subjects(Statistic.LEARNING_RATE):
                rates = trace.get(Statistic.LEARNING_RATE, name)
                # Rates are read on steps that are looked at: the change may be seen somewhat after it was made.
                near = rates.between(at - self.steady, at + self.unseen)
                before = rates.between(0, at - self.steady - 1).last()
                if len(near) and near.values.max() > self.raised * before:
                    return at, float(near.values.max()), float(near.values.max() / before)
            return None
        return None

    def _rate_finding(self, trace: Trace, run: Progress, step: int, rate: float, factor: float) -> Finding:
        text, key, values = self.say(
            "raised",
            step=str(step),
            factor=number(factor),
            best=number(float(np.min(trace.get(Statistic.LOSS).finite.between(0, step).values))),
            last=number(run.last),
        )
        optimizer = next(iter(active_optimizers(trace)), None)
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=step,
            last_step=max(0, trace.steps - 1),
            source=lines(optimizer.source if optimizer else None),
            evidence=(Evidence("rise of the learning rate", factor, self.raised, "1"),),
            cause=self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-learning-rate", rate=number(rate)),
            message_key=key,
            values=values,
        )

    def _large(self, updates: tuple[Update, ...], rise: float) -> Update | None:
        """Return the first update above the bound, or the largest where all are sizeable; None where neither is."""
        above = next((update for update in updates if update.ratio > self.ratio), None)
        if above is not None:
            return above
        later = updates[1:]
        if (
            not rise > self.jump
            or len(later) < 3
            or float(np.median([update.ratio for update in later])) <= self.settled
        ):
            return None
        return max(later, key=lambda update: update.ratio)

    def _jump(self, trace: Trace, run: Progress, large: Update, updates: tuple[Update, ...]) -> Finding:
        peak = max(update.ratio for update in updates)
        diverges = run.state is State.DIVERGING
        losses = trace.get(Statistic.LOSS)
        first, last = losses.finite.first(), losses.last()
        text, key, values = self.say(
            "diverges" if diverges else "goes-nowhere",
            step=str(large.step), parameter=large.parameter, ratio=number(large.ratio),
            first=number(first), last=number(run.last if np.isfinite(last) else last),
        )  # fmt: skip
        bound = self.ratio if large.ratio > self.ratio else self.settled
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if diverges or highest_rise(trace) > self.jump else Severity.WARNING,
            message=text,
            first_step=large.step,
            last_step=max(update.step for update in updates if update.ratio >= bound),
            modules=module_of(trace, [large.parameter]),
            parameters=(large.parameter,),
            source=self._source(trace, large.parameter),
            evidence=(
                Evidence("relative update of one step", large.ratio, bound, "1", large.parameter),
                Evidence("largest relative update", peak, bound, "1"),
                Evidence("last loss", last, first, "loss"),
            ),
            cause=self._cause(trace),
            message_key=key,
            values=values,
        )

    def _collapsed_layer(self, trace: Trace) -> str:
        """Return the last layer if samples could be told apart there at first, and soon no more; else ""."""
        if not trace.layers:
            return ""
        name = trace.layers[-1].name
        series = trace.get(Statistic.DISTINGUISHABILITY, name).finite
        after = series.between(1, int(series.steps[-1])) if len(series) else series
        if len(after) < 1 or series.first() <= self.collapsed:
            return ""
        bound = series.first() * 10**-self.merged
        merged = after.steps[0] <= self.soon and after.first() < bound and after.median() < bound
        settled = float(np.median(series.values[len(series) // 2 :]))
        collapsed = settled < min(self.collapsed, series.first() * 10**-self.collapse)
        return name if merged or collapsed else ""

    def _collapse(self, trace: Trace, run: Progress, layer: str) -> Finding:
        series = trace.get(Statistic.DISTINGUISHABILITY, layer).finite
        after = series.between(1, int(series.steps[-1]))
        fallen = series.steps[series.values < series.first() * 10**-self.merged]
        text, key, values = self.say(
            "collapses",
            layer=layer,
            last=number(run.last),
            times=number(series.first() / max(after.median(), 1e-30)),
        )
        site = trace.site(layer)
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=int(fallen[0]) if len(fallen) else 0,
            last_step=int(series.steps[-1]),
            modules=(layer,),
            source=lines(site.source if site else None),
            evidence=(
                Evidence("distinguishability at the start", series.first(), None, "1", layer),
                Evidence(
                    "distinguishability after the first updates",
                    after.median(),
                    series.first() * 10**-self.merged,
                    "1",
                    layer,
                ),
            ),
            cause=self._cause(trace),
            message_key=key,
            values=values,
        )

    def _cause(self, trace: Trace) -> Cause:
        """Tell a missing warm-up (attention, an adaptive optimizer, the full rate from the start) from a high rate."""
        attends = any(word in info.kind.lower() for info in trace.modules for word in _ATTENTION) or any(
            entry.kind is EntryKind.ATTENTION for ledger in trace.ledgers for entry in ledger
        )
        working = active_optimizers(trace)
        adaptive = any(optimizer.family == "adaptive" for optimizer in working)
        rate = learning_rate(trace)
        first = max((trace.get(Statistic.LEARNING_RATE, f"{o.index}/0").first() for o in working), default=math.nan)
        ramps = first < self.ramp * rate
        if attends and adaptive and not ramps:
            return self.cause(CauseKind.WARMUP_MISSING, 1.0, "cause-warmup", rate=number(rate))
        return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-learning-rate", rate=number(rate))

    def _source(self, trace: Trace, parameter: str) -> tuple[SourceLine, ...]:
        optimizer = trace.optimizer_of(parameter)
        return lines(optimizer.source if optimizer else None)


RULE = UpdateTooLarge()
