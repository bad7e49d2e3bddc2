"""Weights that are wrong from the first step on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._blame import blame
from evengrad.rules._copies import copied_layers
from evengrad.rules._depth import depths, parameters, source_lines
from evengrad.rules._progress import Progress, State, progress
from evengrad.rules._words import lines, number


@dataclass(frozen=True)
class _Fault:
    """What is wrong at step 0: key of the sentence, its values, the evidence, the cause and the layers."""

    key: str
    values: Mapping[str, str]
    evidence: Evidence
    kind: CauseKind
    layers: tuple[str, ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadInitialisation(AbstractRule):
    """The weights as initialised keep the network from learning.

    What it measures:
        At the first step: whether gradient or signal grow or fade by orders of magnitude across depth; whether the
            first
        prediction of a classifier is far more certain than a guess; and whether units of a layer are copies of each
        other, or weights zero and without gradient, on every probe.

    Why it hurts:
        Training starts from where signal and gradient can hardly pass, or where units that are alike get like gradients
        and stay alike for good.

    When it misleads:
        Zero-initialised heads, LoRA's B and ReZero's gates are zero at step 0 and get a gradient at once: a weight
        counts as stuck at zero only when it gets none on any step. Adaptive optimizers recover from much; a run that
        gets somewhere is not reported. The same fault usually shows as a vanishing or exploding gradient as well and is
        then one finding.

    Thresholds:
        vanishing, exploding: attenuation at step 0, decades. Theory page, criteria: severe below -4, above +3.
        forward: decades of rms from the first hidden layer's input to the last layer's. Theory page: 6 decades of mean
            square.
        certain: rms of the first log-probabilities over ln C, "1". Own choice: a sound start is within 2; ten times
            costs a loss of ten guesses.
        probes: steps at which zero weights must be seen without gradient. Own choice: 2 tells step 0 from the rest.

    Source:
        Glorot and Bengio, AISTATS 2010; He et al., ICCV 2015; theory page, criteria. Symmetry: Rumelhart et al. 1986.
    """

    vanishing: float = -4.0
    exploding: float = 3.0
    forward: float = 3.0
    certain: float = 10.0
    probes: int = 2

    messages: ClassVar[Mapping[str, str]] = {
        "gradient": "As initialised, the network changes the gradient by {decades} decades from `{last}` back to "
        "`{first}`.",
        "forward": "As initialised, the network changes the size of the signal by {decades} decades from `{first}` to "
        "`{last}`.",
        "certain": "As initialised, the network is certain of wrong answers: its log-probabilities have size {size}, "
        "where a guess has {guess}.",
        "identical": "The units of {layers} are copies of each other: they began with the same weights, and get the "
        "same gradients.",
        "zero": "The weights {parameters} are zero and get no gradient on any step.",
        "cause-scale": "the weights are {factor} times the scale that keeps signal and gradient",
        "cause-other": "no single weight scale is at fault, but what the layers do in a row",
        "cause-activation": "{operation} loses signal and gradient at any weight scale",
        "cause-certain": "weights with a scale of {factor} at `{layer}`, where 1 keeps the size of the signal",
        "cause-identical": "a constant initialisation",
        "cause-zero": "each of two weights in a row is zero, so that neither lets a gradient reach the other",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return what was wrong with the weights at the first step, if the run has not overcome it."""
        run = progress(trace)
        if run.state in (State.SOLVED, State.UNKNOWN):
            return ()
        fault = self._stuck_at_zero(trace) or self._copies(trace)
        if fault is None and run.failing:
            fault = self._gradient(trace) or self._signal(trace)
        fault = fault or self._certain(trace)
        return () if fault is None else (self._finding(trace, fault, run),)

    def _gradient(self, trace: Trace) -> _Fault | None:
        """Return an attenuation that is out of bounds at the first step."""
        for depth in depths(trace):
            ledger = depth.ledgers[0]
            decades = ledger.attenuation
            if ledger.step == 0 and math.isfinite(decades) and not self.vanishing < decades < self.exploding:
                bound = self.vanishing if decades < 0 else self.exploding
                values = {"decades": f"{decades:+.1f}", "last": ledger.last, "first": ledger.first}
                evidence = Evidence("gradient across depth at the first step", decades, bound, "decades", ledger.first)
                layers = tuple(entry.module for entry in reversed(ledger.entries) if entry.kind is EntryKind.WEIGHT)
                return _Fault("gradient", values, evidence, blame(ledger).kind, (ledger.first, *layers))
        return None

    def _signal(self, trace: Trace) -> _Fault | None:
        """Return a forward growth or decay that is out of bounds at the first step."""
        for depth in depths(trace):
            decades, first, last = _forward_growth(trace, depth.ledgers[0])
            if abs(decades) > self.forward:
                values = {"decades": f"{decades:+.1f}", "first": first, "last": last}
                evidence = Evidence("size of the signal across depth", decades, self.forward, "decades", last)
                kind = CauseKind.WEIGHT_SCALE_SMALL if decades < 0 else CauseKind.WEIGHT_SCALE_LARGE
                return _Fault("forward", values, evidence, kind, (first, last))
        return None

    def _certain(self, trace: Trace) -> _Fault | None:
        """Return a first prediction that is far more certain than a guess, made by weights (not by the data)."""
        classes, sizes = trace.get(Statistic.CLASSES).median(), trace.get(Statistic.OUTPUT_RMS)
        if not classes > 1 or len(sizes) == 0 or sizes.steps[0] > 0:
            return None
        guess, size = math.log(classes), sizes.first()
        scales = _scales(trace)
        worst = max(scales, key=lambda name: scales[name], default=None)
        fed = trace.get(Statistic.INPUT_RMS, trace.layers[0].name).first() if trace.layers else math.nan
        overfed = fed > self.certain
        if size < self.certain * guess or worst is None or scales[worst] < 2 or overfed:
            return None
        values = {"size": number(size), "guess": number(guess)}
        evidence = Evidence("size of the first log-probabilities over a guess's", size / guess, self.certain)
        return _Fault("certain", values, evidence, CauseKind.WEIGHT_SCALE_LARGE, (worst,))

    def _copies(self, trace: Trace) -> _Fault | None:
        """Return hidden layers whose units are all alike on every probe."""
        pairs = copied_layers(trace)
        if not pairs:
            return None
        makers, shower = tuple(maker.name for maker, _ in pairs), pairs[0][1].name
        spread = trace.get(Statistic.FEATURE_SPREAD, shower).median() - 1
        evidence = Evidence("difference between hidden units", spread, 0.0, "1", shower)
        return _Fault("identical", {"layers": ", ".join(makers)}, evidence, CauseKind.WEIGHT_SCALE_SMALL, makers)

    def _stuck_at_zero(self, trace: Trace) -> _Fault | None:
        """Return weight tensors that are zero, and whose gradient is zero, whenever they were looked at."""
        stuck = [
            info
            for info in trace.parameters
            if info.optimizer >= 0 and info.requires_grad and len(info.shape) >= 2
            and _always_zero(trace, Statistic.WEIGHT_RMS, info.name, 1)
            and _always_zero(trace, Statistic.GRAD_RMS, info.name, self.probes)
        ]  # fmt: skip
        if not stuck:
            return None
        names = tuple(info.name for info in stuck)
        evidence = Evidence("weights that are zero and get no gradient", float(len(stuck)), 1.0, "1", names[0])
        modules = tuple(dict.fromkeys(info.module for info in stuck))
        return _Fault(
            "zero", {"parameters": ", ".join(names[:4])}, evidence, CauseKind.WEIGHT_SCALE_SMALL, modules, names
        )

    def _finding(self, trace: Trace, fault: _Fault, run: Progress) -> Finding:
        text, key, values = self.say(fault.key, **fault.values)
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if run.failing else Severity.WARNING,
            message=text,
            first_step=0,
            last_step=0,
            modules=tuple(dict.fromkeys(fault.layers)),
            parameters=fault.parameters or parameters(trace, fault.layers),
            source=lines(*source_lines(trace, fault.layers)),
            evidence=(fault.evidence,),
            cause=self._cause(trace, fault),
            message_key=key,
            values=values,
        )

    def _cause(self, trace: Trace, fault: _Fault) -> Cause:
        """Put the cause into words."""
        if fault.key in ("identical", "zero"):
            return self.cause(fault.kind, 1.0, f"cause-{fault.key}")
        if fault.key == "certain":
            scale = number(_scales(trace)[fault.layers[0]])
            return self.cause(fault.kind, 1.0, "cause-certain", factor=scale, layer=fault.layers[0])
        ledger = depths(trace)[0].ledgers[0]
        reason = blame(ledger)
        if fault.kind is CauseKind.ACTIVATION_DERIVATIVE:
            return self.cause(fault.kind, reason.share, "cause-activation", operation=reason.operation)
        if fault.kind in (CauseKind.WEIGHT_SCALE_SMALL, CauseKind.WEIGHT_SCALE_LARGE):
            exact = reason.kind is fault.kind and math.isfinite(reason.part)
            factor = (
                10 ** (reason.part / max(1, ledger.layers - 1))
                if exact
                else float(np.median(list(_scales(trace).values()) or [math.nan]))
            )
            return self.cause(fault.kind, reason.share or 1.0, "cause-scale", factor=number(factor))
        return self.cause(fault.kind, reason.share, "cause-other")


def _forward_growth(trace: Trace, ledger: Ledger) -> tuple[float, str, str]:
    """Return the decades of rms from the first hidden layer's input to the last layer's at step 0, and both names."""
    names = [site.name for site in trace.layers]
    if ledger.first not in names or ledger.last not in names or ledger.step > 0:
        return 0.0, "", ""
    begin, end = names.index(ledger.first) + 1, names.index(ledger.last)
    if end <= begin:
        return 0.0, "", ""
    low, high = (trace.get(Statistic.INPUT_RMS, names[index]).first() for index in (begin, end))
    if not (low > 0 and high > 0):
        return 0.0, "", ""
    return math.log10(high / low), names[begin], names[end]


def _scales(trace: Trace) -> dict[str, float]:
    """Return sqrt(fan_in) * rms(W) of each layer when first measured: the factor by which it scales white noise."""
    infos = {info.name: info for info in trace.parameters if len(info.shape) >= 2}
    found = {}
    for site in trace.layers:
        info = next((infos[name] for name in site.parameters if name in infos), None)
        if info is not None and (size := trace.get(Statistic.WEIGHT_RMS, info.name).first()) > 0:
            found[site.name] = math.sqrt(info.numel / info.shape[0]) * size
    return found


def _always_zero(trace: Trace, statistic: Statistic, name: str, fewest: int) -> bool:
    """Return whether a quantity was measured at least so often, and was 0 each time."""
    values = trace.get(statistic, name).values
    return len(values) >= fewest and not values.any()


RULE = BadInitialisation()
