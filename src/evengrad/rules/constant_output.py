"""A network that gives every sample the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._blame import blame
from evengrad.rules._dead import dead_sites
from evengrad.rules._depth import depths
from evengrad.rules._late import late, late_median
from evengrad.rules._neighbours import is_output
from evengrad.rules._output import swallowed
from evengrad.rules._progress import Progress, State, progress, target_spread
from evengrad.rules._weights import SHRUNK, Decay, decayed, largest_updates
from evengrad.rules._words import lines, number, percent


@dataclass(frozen=True)
class ConstantOutput(AbstractRule):
    """The prediction is the same for every sample, and the loss stays where a constant answer puts it.

    What it measures:
        The between-sample standard deviation of the prediction over its rms, held against the same ratio of the target;
        and whether the loss has left the level of a guess (ln C for C classes, the target's variance for a regression).

    Why it hurts:
        The network ignores its input. All samples of a class-balanced batch pull the same answer in opposite
        directions, so the gradient averages out and the run stays at ln C.

    When it misleads:
        A target with a large mean and a small spread (years, kelvins) asks for an almost constant prediction; the bound
        shrinks with the target's own ratio. Where the target is pure noise, a constant is the right answer; then the
        prediction still varies with the batch by more than this rule's bound.

    Thresholds:
        spread: between-sample spread of the prediction relative to the target's, "1". Own choice: healthy nets vary by
            .1 and more at initialisation, collapsed ones by 1e-5 and less.
        probes: probes at which it must hold. Own choice: 2.
        varied: spread of the first prediction, "1", above which the network began sound. Own choice: 1e-2.
        alike: distinguishability, "1", below which samples look the same. Theory page, criteria: 1e-8.
        dead: share of dead units, "1". Theory page, criteria: severe above .9.
        update: relative update, "1", that can wreck a network in one step. Theory page, criteria: .3.
        faint: size of the data, "x", that biases drown. Own choice: a tenth of the theory page's lower bound.

    Source:
        Theory page, criteria (distinguishability); Schoenholz et al., ICLR 2017; Noci et al., NeurIPS 2022 (rank
        collapse).
    """

    spread: float = 1e-3
    probes: int = 2
    varied: float = 1e-2
    alike: float = 1e-8
    dead: float = 0.9
    update: float = 0.3
    faint: float = 1e-2

    messages: ClassVar[Mapping[str, str]] = {
        "stuck": "Every sample gets the same prediction (it varies by {spread} of its size), and the loss stays at "
        "{loss}.",
        "decayed": "Weight decay takes the weights away, `{parameter}` has {left} of its size left, and with them what "
        "the prediction knows of its input: the loss stays at {loss}.",
        "cause-dead": "{dead} of the units of `{site}` are dead, so that nothing of the input gets past it",
        "cause-output": "the output passes {operation} at `{site}`, which has the same value for all samples",
        "cause-data": "all samples of a batch look the same already at `{layer}`, the first layer",
        "cause-swallowed": "samples differ at `{layer}`, the last layer; what follows it gives all the same answer",
        "cause-input": "the data that feeds `{layer}` has size {size}: next to the biases there is nothing of it left",
        "cause-signal": "the samples cannot be told apart any more at `{layer}`, from the first step on",
        "cause-decay": "weight decay {coefficient} at a learning rate of {rate} takes {part} of every weight per "
        "step: `{parameter}` has {left} of its first size left",
        "cause-rate": "the prediction varied at first ({begin}); updates of up to {ratio} times a weight's size ended "
        "that",
        "cause-collapse": "the prediction varied at first ({begin}) and collapsed in the first updates",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return a finding when the prediction has become, or stayed, a constant."""
        run = progress(trace)
        seen = trace.get(Statistic.OUTPUT_SPREAD).finite
        later = late(seen)
        bound = self.spread * target_spread(trace)
        constant = int((seen.values < bound).sum())
        if run.state is not State.STUCK:
            return ()
        if constant < self.probes or not (later.values < bound).all():
            decay = decayed(trace)  # seen on every step, while the prediction may not have been looked at since
            return () if decay is None else (self._decayed(trace, run, decay),)
        cause, place = self._cause(trace, seen.first())
        if cause is None:  # a small last layer may answer nearly the same for long, and learn
            return ()
        return (self._finding(trace, run, (later.median(), bound), (cause, place)),)

    def _finding(
        self, trace: Trace, run: Progress, measured: tuple[float, float], reason: tuple[Cause, str]
    ) -> Finding:
        (spread, bound), (cause, place) = measured, reason
        text, key, values = self.say("stuck", spread=number(spread), loss=number(run.last))
        seen = trace.get(Statistic.OUTPUT_SPREAD).finite
        varied = [int(step) for step, value in zip(seen.steps, seen.values, strict=True) if value >= bound]
        first = min((int(step) for step in seen.steps if not varied or step > varied[-1]), default=0)
        last = trace.layers[-1] if trace.layers else None
        site = trace.site(place) or last
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=first,
            last_step=int(seen.steps[-1]),
            modules=(site.module or site.name,) if site is not None else (),
            source=lines(site.source if site is not None else None),
            evidence=(
                Evidence("spread of the prediction between samples", spread, bound, "1"),
                Evidence("share of the loss that is gone", run.gone, 0.1, "1"),
            ),
            cause=cause,
            message_key=key,
            values=values,
        )

    def _decayed(self, trace: Trace, run: Progress, decay: Decay) -> Finding:
        """Return the finding on a run whose weights decay took."""
        text, key, values = self.say(
            "decayed", parameter=decay.parameter, left=percent(decay.left), loss=number(run.last)
        )
        info = trace.parameter(decay.parameter)
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            last_step=max(0, trace.steps - 1),
            modules=(info.module,) if info is not None else (),
            parameters=(decay.parameter,),
            evidence=(
                Evidence("weights left of their first size", decay.left, SHRUNK, "1", decay.parameter),
                Evidence("share of the loss that is gone", run.gone, 0.1, "1"),
            ),
            cause=self.cause(CauseKind.WEIGHT_SCALE_SMALL, 1.0, "cause-decay", **decay.words()),
            message_key=key,
            values=values,
        )

    def _cause(self, trace: Trace, begin: float) -> tuple[Cause | None, str]:
        """Return why the prediction is constant, and the site that makes it so."""
        decay = decayed(trace)
        if decay is not None:
            return self.cause(CauseKind.WEIGHT_SCALE_SMALL, 1.0, "cause-decay", **decay.words()), ""
        blocked = self._blocked(trace)
        if blocked is not None:
            return blocked
        first, last = (trace.layers[0], trace.layers[-1]) if trace.layers else (None, None)
        if first is not None and trace.get(Statistic.DISTINGUISHABILITY, first.name).median() < self.alike:
            return self.cause(CauseKind.DATA, 1.0, "cause-data", layer=first.name), first.name
        if first is not None and (size := trace.get(Statistic.INPUT_RMS, first.name).first()) < self.faint:
            return self.cause(
                CauseKind.INPUT_SCALE, 1.0, "cause-input", layer=first.name, size=number(size)
            ), first.name
        if last is not None and swallowed(trace):
            return self.cause(CauseKind.OUTPUT_ACTIVATION, 1.0, "cause-swallowed", layer=last.name), last.name
        if begin > self.varied:
            return self._collapsed(trace, begin), ""
        if last is not None and trace.get(Statistic.DISTINGUISHABILITY, last.name).first() < self.alike:
            kind = next((blame(depth.ledgers[0]).kind for depth in depths(trace)), CauseKind.WEIGHT_SCALE_SMALL)
            return self.cause(kind, 1.0, "cause-signal", layer=last.name), last.name
        return None, ""

    def _blocked(self, trace: Trace) -> tuple[Cause, str] | None:
        """Return an activation that lets nothing through: at the output, or anywhere before it."""
        for site in trace.activations:
            if is_output(trace, site) and late_median(trace.get(Statistic.SATURATED, site.name)) > self.dead:
                values = {"operation": site.operation, "site": site.name}
                return self.cause(CauseKind.OUTPUT_ACTIVATION, 1.0, "cause-output", **values), site.name
        for site, share in dead_sites(trace, self.dead).items():
            return self.cause(CauseKind.DEAD_UNITS, 1.0, "cause-dead", site=site.name, dead=percent(share)), site.name
        return None

    def _collapsed(self, trace: Trace, begin: float) -> Cause:
        """Return why a network that began sound has collapsed."""
        ratio = max((update.ratio for update in largest_updates(trace)), default=0.0)
        if ratio > self.update:
            values = {"begin": number(begin), "ratio": number(ratio)}
            return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-rate", **values)
        attends = any("attention" in info.kind.lower() or "transformer" in info.kind.lower() for info in trace.modules)
        kind = CauseKind.WARMUP_MISSING if attends else CauseKind.LEARNING_RATE_HIGH
        return self.cause(kind, 0.5, "cause-collapse", begin=number(begin))


RULE = ConstantOutput()
