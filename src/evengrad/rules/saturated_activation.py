"""Activations driven so far that they pass hardly any gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import SiteInfo
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._depth import depths, parameters
from evengrad.rules._late import late
from evengrad.rules._neighbours import feeding_layer, is_output
from evengrad.rules._progress import Progress, State, progress
from evengrad.rules._words import lines, number, percent, place

_UNIT_RANGE = frozenset({"tanh", "sigmoid", "hardsigmoid"})
_BOUNDED = frozenset({"tanh", "sigmoid", "hardtanh", "hardsigmoid", "erf", "atan"})


@dataclass(frozen=True)
class SaturatedActivation(AbstractRule):
    """Most of a bounded activation sits where its derivative is next to nothing, and that costs the run.

    What it measures:
        The share of (unit, sample) pairs at which a bounded activation's derivative is below a twentieth of its largest
        value; the decades of gradient that the ledger books to its derivative; and the size of what feeds it.

    Why it hurts:
        The gradient that passes is multiplied by the derivative, so layers below learn from a few lucky samples. A
        saturated first layer hands on little more than signs.

    When it misleads:
        A first layer that is 98 % saturated was seen to train well, gates of recurrent nets are meant to saturate, and
        a trained sigmoid output saturates because it is sure. Saturation is therefore a fault only where it takes most
        of the gradient on its own, or where data or weights drive it there from the first step on, and only in a run
        that is not solved. A softmax or sigmoid whose output the loss takes for logits is a mistake wherever it stands;
        a run that learns in spite of it gets a warning.

    Thresholds:
        share: saturated share, "1", of one activation. Own choice: with 90 % saturated, the passing gradient falls to a
            third; theory page: 0 to .98 in trained nets, hence the conditions.
        taken: decades that the saturated activations take from the gradient. Theory page, saturation: 3.
        input_rms: size of what the feeding layer acts on, "x". Theory page, criteria: outside [0.1, 10].
        overdriven: scale of the feeding weights over the scale that keeps the signal, "1". Own choice: three times
            drives a unit-variance input beyond the linear range of tanh.
        began: saturated share at the first probe, "1", from which overdriven weights are its cause. Own choice: half.
        done: share of the loss gone, "1", from which overdriven weights no longer matter. Own choice.
        reach: size of the target over the largest value of a bounded output. Own choice: a fifth beyond.

    Source:
        Glorot and Bengio, AISTATS 2010, section 3; LeCun et al., Efficient BackProp, 1998, section 4.4. Theory page,
        criteria.
    """

    share: float = 0.9
    taken: float = 3.0
    input_rms: float = 10.0
    overdriven: float = 3.0
    began: float = 0.5
    done: float = 0.9
    reach: float = 1.2

    messages: ClassVar[Mapping[str, str]] = {
        "drains": "{share} of `{site}` is saturated; together with {count} more, saturated {operation} takes {taken} "
        "decades of the gradient.",
        "driven": "{share} of `{site}` is saturated from the first step on: what drives it is {drive} times what "
        "{operation} can tell apart.",
        "range": "The output `{site}` cannot exceed {bound}, but the target has size {target}.",
        "output": "{share} of the output `{site}` is saturated: it cannot move towards its targets.",
        "twice": "The output passes {operation} at `{site}`, and the loss, which takes it for logits, applies its own: "
        "the prediction can hardly leave a guess.",
        "cause-twice": "{operation} squeezes the logits into 0 to 1 before the loss does the same again",
        "cause-input": "the data that feeds `{layer}` has size {size}",
        "cause-weights": "the weights of `{layer}` are {factor} times the scale that keeps the signal",
        "cause-derivative": "the derivative of {operation} is next to nothing at these pre-activations",
        "cause-range": "{operation} is the last operation before the loss",
        "cause-output": "{operation} is the last operation before the loss, and its input has grown far beyond its "
        "range",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on the saturated activation nearest the data."""
        shares = {site: share for site in trace.activations if (share := self._saturated(trace, site)) is not None}
        run = progress(trace)
        if (twice := self._twice(trace, run)) is not None:
            return (twice,)
        if run.failing and (beyond := self._out_of_reach(trace)) is not None:
            return (beyond,)
        if not shares or run.state is State.UNKNOWN:
            return ()
        worst = next(iter(shares))
        feeding = feeding_layer(trace, worst)
        taken = self._taken(trace, shares)
        cause = self._cause(trace, worst, feeding)
        if run.state is State.SOLVED and (cause.kind is not CauseKind.WEIGHT_SCALE_LARGE or run.gone > self.done):
            return ()
        if taken >= self.taken:
            values = {"count": str(len(shares) - 1), "operation": worst.operation, "taken": f"{taken:.1f}"}
            severity = Severity.ERROR if run.failing else Severity.WARNING
            return (self._finding(trace, worst, shares, (severity, "drains", values), cause),)
        if cause.kind is CauseKind.OUTPUT_ACTIVATION:
            if not run.failing:
                return ()
            return (self._finding(trace, worst, shares, (Severity.ERROR, "output", {}), cause),)
        if cause.kind is CauseKind.ACTIVATION_DERIVATIVE:
            return ()
        drive = dict(cause.values).get("size") or dict(cause.values).get("factor", "")
        severity = Severity.ERROR if run.failing else Severity.WARNING
        values = {"drive": drive, "operation": worst.operation}
        return (self._finding(trace, worst, shares, (severity, "driven", values), cause),)

    def _twice(self, trace: Trace, run: Progress) -> Finding | None:
        """Return the finding on an output that is made a probability before a loss that expects logits."""
        event = next(iter(trace.events_of(EventKind.SQUASHED_TWICE)), None)
        if event is None:
            return None
        operation, site = event.details["operation"], event.details.get("site", "") or event.details.get("module", "")
        text, key, values = self.say("twice", operation=operation, site=place(trace, site))
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if run.failing else Severity.WARNING,
            message=text,
            first_step=event.step,
            last_step=max(0, trace.steps - 1),
            modules=tuple(name for name in (event.details.get("module", ""),) if name),
            source=lines(event.source),
            evidence=(Evidence("size of the largest possible logit", 1.0, None, "x", site),),
            cause=self.cause(CauseKind.OUTPUT_ACTIVATION, 1.0, "cause-twice", operation=operation),
            message_key=key,
            values=values,
        )

    def _out_of_reach(self, trace: Trace) -> Finding | None:
        """Return the finding on a bounded output whose target lies outside its range."""
        site = next((site for site in trace.activations if is_output(trace, site)), None)
        target = trace.get(Statistic.TARGET_RMS).median()
        if site is None or site.operation.lower() not in _UNIT_RANGE or not target > self.reach:
            return None
        text, key, values = self.say("range", site=site.name, bound="1", target=number(target))
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            last_step=max(0, trace.steps - 1),
            modules=(site.module or site.name,),
            source=lines(site.source),
            evidence=(Evidence("size of the target", target, self.reach, "x", site.name),),
            cause=self.cause(CauseKind.OUTPUT_ACTIVATION, 1.0, "cause-range", operation=site.operation),
            message_key=key,
            values=values,
        )

    def _saturated(self, trace: Trace, site: SiteInfo) -> float | None:
        """Return the late share of a bounded activation that stays saturated, if it is large."""
        if site.operation.lower() not in _BOUNDED:
            return None
        later = late(trace.get(Statistic.SATURATED, site.name))
        return float(later.values.min()) if len(later) and float(later.values.min()) > self.share else None

    def _taken(self, trace: Trace, shares: Mapping[SiteInfo, float]) -> float:
        """Return the decades that saturated activations take from the gradient on a ledger's path."""
        modules = {(site.module, site.operation) for site in shares}
        return max(
            (
                -math.fsum(
                    max(entry.decades, -45.0)
                    for entry in depth.typical
                    if entry.kind is EntryKind.ACTIVATION and (entry.module, entry.operation) in modules
                )
                for depth in depths(trace)
            ),
            default=0.0,
        )

    def _cause(self, trace: Trace, site: SiteInfo, feeding: SiteInfo | None) -> Cause:
        """Return what drives an activation into saturation."""
        first = trace.get(Statistic.SATURATED, site.name).first()
        if feeding is not None and first > self.share:
            size = trace.get(Statistic.INPUT_RMS, feeding.name).first()
            if size > self.input_rms and feeding == trace.layers[0]:
                return self.cause(CauseKind.INPUT_SCALE, 1.0, "cause-input", layer=feeding.name, size=number(size))
        if feeding is not None and first > self.began:
            factor = _weight_factor(trace, feeding)
            if factor > self.overdriven:
                values = {"layer": feeding.name, "factor": number(factor)}
                return self.cause(CauseKind.WEIGHT_SCALE_LARGE, 1.0, "cause-weights", **values)
        if is_output(trace, site):
            return self.cause(CauseKind.OUTPUT_ACTIVATION, 1.0, "cause-output", operation=site.operation)
        return self.cause(CauseKind.ACTIVATION_DERIVATIVE, 1.0, "cause-derivative", operation=site.operation)

    def _finding(
        self,
        trace: Trace,
        site: SiteInfo,
        shares: Mapping[SiteInfo, float],
        verdict: tuple[Severity, str, Mapping[str, str]],
        cause: Cause,
    ) -> Finding:
        severity, key, more = verdict
        text, qualified, values = self.say(key, share=percent(shares[site]), site=site.name, **more)
        seen = trace.get(Statistic.SATURATED, site.name).finite
        feeding = feeding_layer(trace, site)
        over = [int(step) for step, value in zip(seen.steps, seen.values, strict=True) if value > self.share]
        slope = trace.get(Statistic.DERIVATIVE_RMS, site.name).median()
        return Finding(
            rule=self.id,
            severity=severity,
            message=text,
            first_step=over[0],
            last_step=over[-1],
            modules=tuple(dict.fromkeys(s.module or s.name for s in (site, *shares))),
            parameters=parameters(trace, (feeding.name,)) if feeding is not None else (),
            source=lines(site.source, feeding.source if feeding is not None else None),
            evidence=(
                Evidence("saturated share", shares[site], self.share, "1", site.name),
                Evidence("rms of the derivative", slope, None, "1", site.name),
            ),
            cause=cause,
            message_key=qualified,
            values=values,
        )


def _weight_factor(trace: Trace, layer: SiteInfo) -> float:
    """Return the first scale of a layer's weights, sqrt(fan_in) * rms(W): about 1 keeps the size of the signal."""
    for name in layer.parameters:
        info = trace.parameter(name)
        if info is not None and len(info.shape) >= 2:
            fan_in = info.numel / info.shape[0]
            return math.sqrt(fan_in) * trace.get(Statistic.WEIGHT_RMS, name).first()
    return math.nan


RULE = SaturatedActivation()
