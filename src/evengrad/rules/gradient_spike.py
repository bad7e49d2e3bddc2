"""A sudden jump of the gradient from which the loss did not recover at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._course import running_median
from evengrad.rules._weights import largest_updates
from evengrad.rules._words import lines, module_of, number

_SMOOTH = 5  # losses over which the level after a spike is taken
_SOON = 20  # losses after a spike within which its harm must show
_BEFORE = 20  # losses over which the level before it is taken
_NEAR = 8  # measured norms after the first one of a spike that still belong to it


@dataclass(frozen=True)
class _Spike:
    """A jump of the norm, or of one batch's loss where no norm was measured.

    ``z`` is in standard deviations of the logarithm, ``ratio`` over the recent median.
    """

    step: int
    size: float
    z: float
    ratio: float
    gradual: bool  # it had begun to rise before
    batch: bool = False  # the loss jumped, and no norm was measured there


@dataclass(frozen=True)
class _Harm:
    """What the loss did after a spike: the level before and the highest after, and for how many losses it was up."""

    before: float
    bound: float  # what the loss must not exceed for long
    after: float
    length: int
    recovered: bool


@dataclass(frozen=True)
class GradientSpike(AbstractRule):
    """The global gradient norm jumps far above its recent course, and the loss pays for it.

    What it measures:
        The logarithm of the global norm (unscaled, before clipping) against its own moving average and spread, the norm
        against the median of the last 50, and the loss after the jump against its level before. Where norms are sampled
        and none was measured, the loss of a single batch stands for its gradient.

    Why it hurts:
        One step along a gradient that is ten times too long undoes many. Adam remembers it: with beta2 0.999 the second
        moment needs 2300 steps to forget a factor of ten, and all of them are too short.

    When it misleads:
        Gradient norms have heavy tails: a rare batch, a hard example late in training, a norm close to zero that
        doubles ten times. A jump is only reported when the loss rises after it and stays up. A spike that clipping
        caught, or that the run shrugged off, is silent; so is one while the loss is already tiny.

    Thresholds:
        z: standard deviations of the log norm over its moving average (theory page, exploding in time: healthy runs
            reached 4.9, an injected factor of ten 5.3 to 9.4, a hundred 14 and more).
        ratio: norm over the median of the last 50, "1" (theory page: both, since healthy runs reached 9.7 in ratio
            alone).
        decay: of the moving average, "1" (Kumar et al. 2025: 0.97).
        history: norms before which nothing is judged. Own choice, half of the 25 of Kumar et al., since norms are
            sampled.
        loss_rise: loss after the spike over its level before, "1" (theory page: 1.5).
        undone: share of the progress since the start, "1", that the rise must undo: a jump from 1e-5 to 1e-3 undoes
            none. Own choice.
        new_level: factor, "1", within which the loss before the update and after it are one level: then the data have
            changed, or the task, and no step is to blame. Own choice.
        long: relative update, "1", of the last measured steps before, above which the steps are too long (three times
            the largest of the trained nets on the theory page).
        lasting: losses that must stay up to be worth a word. Own choice.
        costly: share of the run, "1", that must be lost to be a warning. Own choice.

    Source:
        Theory page, criteria; Kumar et al. 2025 (ZClip: EMA of the norm and its z-score); Huang et al., ICLR 2025
        (SPAM).
    """

    z: float = 6.0
    ratio: float = 5.0
    decay: float = 0.97
    history: int = 12
    loss_rise: float = 1.5
    undone: float = 0.1
    lasting: int = 10
    costly: float = 0.05
    new_level: float = 2.0
    long: float = 0.1

    messages: ClassVar[Mapping[str, str]] = {
        "lost": "At step {step} the gradient norm jumps to {size}, {ratio} times its recent median; the loss rises "
        "from {before} to {after} and does not come back.",
        "costly": "At step {step} the gradient norm jumps to {size}, {ratio} times its recent median; the loss "
        "rises from {before} to {after} and needs {length} steps to come back.",
        "batch-lost": "At step {step} the loss of one batch is {size}, {ratio} times the recent median; after its "
        "update the loss rises from {before} to {after} and does not come back.",
        "batch-costly": "At step {step} the loss of one batch is {size}, {ratio} times the recent median; after its"
        " update the loss rises from {before} to {after} and needs {length} steps to come back.",
        "cause-learning-rate": "the norm was rising before, or jumps again and again: the steps are too long for "
        "the curvature",
        "cause-step": "the loss of that batch was ordinary: the step along its gradient was too long",
        "cause-recurrent": "the gradient multiplies through the time steps of a recurrent layer",
        "cause-data": "the jump is a single one, without warning, and the loss of that batch is high before any update",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on the spike that did most harm."""
        spikes = self._spikes(trace.get(Statistic.GRAD_NORM).finite)
        spikes += self._unmeasured(trace)
        harmful = [
            (spike, harm)
            for spike in spikes
            if (harm := self._harm(trace, spike)) is not None
            and (spike.batch or not self._switched(trace, spike, harm))
        ]
        if not harmful:
            return ()
        # What the run never came back from began with the first; else the one that cost most is told.
        lost = [pair for pair in harmful if not pair[1].recovered]
        spike, harm = (
            min(lost, key=lambda pair: pair[0].step) if lost else max(harmful, key=lambda pair: pair[1].length)
        )
        if harm.recovered:
            severity = Severity.WARNING if harm.length >= self.costly * trace.steps else Severity.INFO
        else:
            severity = Severity.ERROR
        text, key, values = self.say(
            ("batch-" if spike.batch else "") + ("costly" if harm.recovered else "lost"),
            step=str(spike.step), size=number(spike.size), ratio=number(spike.ratio), before=number(harm.before),
            after=number(harm.after), **({"length": str(harm.length)} if harm.recovered else {}),
        )  # fmt: skip
        parameters = _leaders(trace, spike.step)
        modules = module_of(trace, parameters)
        sites = [site for site in trace.layers if site.name in modules or site.module in modules]
        return (
            Finding(
                rule=self.id,
                severity=severity,
                message=text,
                first_step=spike.step,
                last_step=max(candidate.step for candidate, _ in harmful),
                modules=modules,
                parameters=parameters,
                source=lines(*(site.source for site in sites)),
                evidence=(
                    *self._size(spike),
                    Evidence("loss after the spike", harm.after, harm.bound, "loss"),
                    Evidence("steps until the loss came back", float(harm.length), float(self.lasting), "steps"),
                ),
                cause=self._cause(trace, spike, len(spikes), modules),
                message_key=key,
                values=values,
            ),
        )

    def _size(self, spike: _Spike) -> tuple[Evidence, ...]:
        if spike.batch:
            return (Evidence("loss of the batch over its recent median", spike.ratio, self.ratio, "1"),)
        return (
            Evidence("log norm above its average", spike.z, self.z, "standard deviations"),
            Evidence("norm over its recent median", spike.ratio, self.ratio, "1"),
        )

    def _unmeasured(self, trace: Trace) -> tuple[_Spike, ...]:
        """Return single batches of a jumping loss at which no norm was judged: norms are sampled, losses are not.

        The loss must stand out from what comes after as well, or it is the data, or the task, that have changed.
        """
        losses = trace.get(Statistic.LOSS).finite
        judged = set(trace.get(Statistic.GRAD_NORM).finite.steps[self.history :].tolist())
        found = []
        for spike in self._spikes(losses):
            after = losses.values[losses.steps > spike.step][:_SOON]
            single = len(after) >= _SMOOTH and spike.size > self.ratio * float(running_median(after, _SMOOTH)[1:].max())
            if single and not spike.gradual and spike.step not in judged:
                found.append(replace(spike, batch=True))
        return tuple(found)

    def _spikes(self, series: Series) -> tuple[_Spike, ...]:
        """Return the jumps of a positive quantity above its own course; a jump over several steps counts once."""
        keep = series.values > 0
        steps, values = series.steps[keep], series.values[keep]
        if len(values) <= self.history:
            return ()
        logs = np.log(values)
        mean, variance = float(logs[: self.history].mean()), float(logs[: self.history].var())
        found: list[_Spike] = []
        last = -_NEAR - 1
        for index in range(self.history, len(values)):
            spread = math.sqrt(max(variance, 1e-12))
            z = (float(logs[index]) - mean) / spread
            ratio = float(values[index] / np.median(values[max(0, index - 50) : index]))
            if z >= self.z and ratio >= self.ratio:
                if index - last > _NEAR:
                    gradual = bool(values[index - 1] > 2 * np.median(values[max(0, index - 50) : index]))
                    found.append(_Spike(int(steps[index]), float(values[index]), z, ratio, gradual))
                last = index
            # A spike must not raise the level that the next norms are held against.
            seen = min(float(logs[index]), mean + self.z * spread)
            variance = self.decay * (variance + (1 - self.decay) * (seen - mean) ** 2)
            mean += (1 - self.decay) * (seen - mean)
        return tuple(found)

    def _harm(self, trace: Trace, spike: _Spike) -> _Harm | None:
        """Return what a spike did to the loss; None when that is nothing worth a word."""
        losses = trace.get(Statistic.LOSS).finite
        before = losses.values[losses.steps < spike.step][-_BEFORE:]
        after = running_median(losses.values[losses.steps > spike.step], _SMOOTH)
        if len(before) < _SMOOTH or len(after) < _SMOOTH:
            return None
        level, first = float(np.median(before)), float(np.median(losses.values[:_SMOOTH]))
        bound = level + self.undone * max(0.0, first - level)
        if level > 0:
            bound = max(bound, self.loss_rise * level)
        elif first <= level:
            return None
        # An adaptive optimizer carries a spike on: the loss may take some steps to rise.
        up = np.flatnonzero(after[:_SOON] > bound)
        if not len(up):
            return None
        back = np.flatnonzero(after[up[0] :] <= bound)
        recovered = len(back) > 0
        length = int(back[0]) if recovered else len(after) - int(up[0])
        if length < (self.lasting if recovered else _SMOOTH):
            return None
        return _Harm(level, bound, float(after[up[0] : up[0] + length].max()), length, recovered)

    def _switched(self, trace: Trace, spike: _Spike, harm: _Harm) -> bool:
        """Return whether the data or the task changed there: a loss that was as high before the update as after it.

        A new optimizer, or a loss that falls again from there, tells this from a fall off a cliff of the loss.
        """
        losses = trace.get(Statistic.LOSS).finite
        at = losses.between(spike.step, spike.step).first()
        later = losses.values[losses.steps > spike.step]
        level = float(np.median(later[:_SMOOTH]))
        if not level / self.new_level < at < level * self.new_level:
            return False
        begins = [trace.get(Statistic.LEARNING_RATE, name) for name in trace.subjects(Statistic.LEARNING_RATE)]
        begun = any(len(rate) and abs(int(rate.steps[0]) - spike.step) <= 1 for rate in begins)
        falls = float(np.median(later[-_SMOOTH:])) < level / self.loss_rise
        return begun or harm.recovered or falls

    def _cause(self, trace: Trace, spike: _Spike, spikes: int, modules: tuple[str, ...]) -> Cause | None:
        """Tell recurrence, too long steps and a bad batch apart."""
        recent = [update.ratio for update in largest_updates(trace) if update.step < spike.step][-4:]
        long = max(recent, default=0.0) > self.long
        single = not (spike.gradual or spikes > 2 or long)
        losses = trace.get(Statistic.LOSS).finite
        at = losses.between(spike.step, spike.step).first()
        usual = losses.between(spike.step - _BEFORE, spike.step - 1).median()
        if single and at > self.loss_rise * abs(usual):
            return self.cause(CauseKind.DATA, 0.5 if spike.batch else 1.0, "cause-data")
        recurrent = {profile.module for profile in trace.time_profiles}
        if recurrent & set(modules) or any(ledger.steps_in_time > 1 for ledger in trace.ledgers):
            return self.cause(CauseKind.RECURRENT_JACOBIAN, 1.0, "cause-recurrent")
        return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-step" if single else "cause-learning-rate")


def _leaders(trace: Trace, step: int) -> tuple[str, ...]:
    """Return the parameters whose gradients grew most at a step, at most three, over half of the largest growth."""
    growth: dict[str, float] = {}
    for name in trace.subjects(Statistic.GRAD_RMS):
        sizes = trace.get(Statistic.GRAD_RMS, name).finite
        usual, at = sizes.between(0, step - 1).median(), sizes.between(step, step).first()
        if usual > 0 and math.isfinite(at):
            growth[name] = at / usual
    ranked = sorted(growth, key=lambda name: -growth[name])
    return tuple(name for name in ranked[:3] if growth[name] > 0.5 * growth[ranked[0]])


RULE = GradientSpike()
