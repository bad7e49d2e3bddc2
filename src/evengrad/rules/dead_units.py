"""Units that pass no gradient for any sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._dead import dead_sites
from evengrad.rules._depth import parameters
from evengrad.rules._late import late
from evengrad.rules._neighbours import feeding_layer
from evengrad.rules._outcome import outcome
from evengrad.rules._progress import Progress, State
from evengrad.rules._weights import largest_updates
from evengrad.rules._words import lines, number, percent


@dataclass(frozen=True)
class DeadUnits(AbstractRule):
    """Most units of a layer pass no gradient on any sample, and stay so.

    What it measures:
        The share of a layer's units whose derivative is exactly 0 for every sample of a batch, on each probe; over how
        many probes and samples that holds; and whether the run has got anywhere.

    Why it hurts:
        A dead unit gets no gradient, so it cannot come back by itself. When most of a layer is dead, the layers below
        it get no gradient either, and the layers above see hardly more than a constant.

    When it misleads:
        A rectifier that is silent on one batch is not dead: rare features fire rarely (with a pre-activation two
        standard deviations below zero, 6 % of the units of a batch of 128 look dead and none is). Wide layers keep many
        silent units and train well. So the share must be large, hold over three probes or a thousand samples, and go
        with a run that is not solved.

    Thresholds:
        warn: share of units, "1". Theory page, criteria: trained nets 0 to .38, collapsed ones .56 and above.
        severe: share of units, "1". Theory page: severe above .9.
        alive: share of units, "1", dead at the start, below which the units died in training. Own choice: half.
        update: relative update, "1", that kills units. Theory page, criteria: 0.3.
        input_rms: size of the data, "x", that kills units of the first layer. Theory page: 10.

    Source:
        Maas et al., ICML workshop 2013; Lu et al. 2019 (dying ReLU). Theory page, sections on criteria and saturation.
    """

    warn: float = 0.5
    severe: float = 0.9
    alive: float = 0.5
    update: float = 0.3
    input_rms: float = 10.0

    messages: ClassVar[Mapping[str, str]] = {
        "stuck": "{share} of the units of `{site}` are dead: no sample gets a gradient through them, and the loss "
        "does not fall.",
        "wastes": "{share} of the units of `{site}` are dead: no sample gets a gradient through them.",
        "trains": "{share} of the units of `{site}` are dead; the run learns all the same.",
        "cause-rate": "the units were alive at first ({begin} dead) and died by step {step}; updates of up to {ratio} "
        "times a weight's size, at a learning rate of {rate}, pushed them below zero",
        "cause-died": "the units were alive at first ({begin} dead) and died by step {step}",
        "cause-born": "the units were dead from the first step on: weights and biases as initialised keep every "
        "sample below zero",
        "cause-input": "the data that feeds `{layer}` has size {size}; it carries the units below zero and keeps them "
        "there",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on the activation that dies first on the way forward, naming the others."""
        run = outcome(trace)
        dead = dead_sites(trace, self.warn)
        severity = self._severity(max(dead.values(), default=0.0), run)
        if severity is None:
            return ()
        bound = self.severe if max(dead.values()) > self.severe else self.warn
        worst = next(site for site, share in dead.items() if share > bound)
        return (self._finding(trace, worst, dead, severity, run),)

    def _severity(self, share: float, run: Progress) -> Severity | None:
        """Return how bad a share of dead units is, by what became of the run."""
        if share <= self.warn:
            return None
        if run.state is State.SOLVED:
            return Severity.INFO if share > self.severe else None
        if share > self.severe:
            return Severity.ERROR if run.failing else Severity.WARNING
        return Severity.WARNING if run.failing else Severity.INFO

    def _finding(
        self, trace: Trace, worst: SiteInfo, dead: Mapping[SiteInfo, float], severity: Severity, run: Progress
    ) -> Finding:
        share = dead[worst]
        key = "trains" if severity is Severity.INFO else ("stuck" if run.failing else "wastes")
        text, qualified, values = self.say(key, share=percent(share), site=worst.name)
        seen = trace.get(Statistic.DEAD, worst.name).finite
        modules = tuple(dict.fromkeys(site.module or site.name for site in (worst, *dead)))
        feeding = feeding_layer(trace, worst)
        held = parameters(trace, (feeding.name,)) if feeding is not None else ()
        bound = self.severe if share > self.severe else self.warn
        samples = trace.get(Statistic.DEAD_SAMPLES, worst.name).median() * len(late(seen))
        return Finding(
            rule=self.id,
            severity=severity,
            message=text,
            first_step=_since(seen, self.warn),
            last_step=int(seen.steps[-1]),
            modules=modules,
            parameters=held,
            source=lines(worst.source, feeding.source if feeding is not None else None),
            evidence=(
                Evidence("share of dead units", share, bound, "1", worst.name),
                Evidence("samples that it was seen on", samples, None, "1", worst.name),
            ),
            cause=self._cause(trace, worst, feeding),
            message_key=qualified,
            values=values,
        )

    def _cause(self, trace: Trace, site: SiteInfo, feeding: SiteInfo | None) -> Cause:
        """Return whether the units died in training (of steps that were too long) or were born dead."""
        size = trace.get(Statistic.INPUT_RMS, feeding.name).first() if feeding is not None else 0.0
        if feeding is not None and trace.layers and feeding == trace.layers[0] and size > self.input_rms:
            return self.cause(CauseKind.INPUT_SCALE, 1.0, "cause-input", layer=feeding.name, size=number(size))
        seen = trace.get(Statistic.DEAD, site.name).finite
        begin = seen.first()
        if begin > self.alive or seen.steps[0] > 0:
            return self.cause(CauseKind.DEAD_UNITS, 1.0, "cause-born")
        step, share = str(_since(seen, self.warn)), percent(begin)
        ratio = max((update.ratio for update in largest_updates(trace)), default=0.0)
        rate = trace.get(Statistic.LEARNING_RATE, "0/0").first()
        if ratio > self.update:
            values = {"begin": share, "step": step, "ratio": number(ratio), "rate": number(rate)}
            return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-rate", **values)
        return self.cause(CauseKind.LEARNING_RATE_HIGH, 0.5, "cause-died", begin=share, step=step)


def _since(seen: Series, bound: float) -> int:
    """Return the step from which on the share stays above a bound."""
    alive = [index for index, value in enumerate(seen.values) if value <= bound]
    return int(seen.steps[min(alive[-1] + 1, len(seen) - 1)]) if alive else int(seen.steps[0])


RULE = DeadUnits()
