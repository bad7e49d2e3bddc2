"""Updates or gradients that are lost to the rounding of a half-precision format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import ParamInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._late import late, late_median
from evengrad.rules._progress import State, progress
from evengrad.rules._words import lines, module_of, number, percent

_HALF = ("float16", "bfloat16")
_SMALLEST_NORMAL = 2.0**-14  # of float16; below it digits go
_UNDERFLOWS = 2.0**-21  # eight times the smallest float16: one layer further on, all entries of such a gradient are 0


@dataclass(frozen=True)
class PrecisionLoss(AbstractRule):
    """Rounding to half precision swallows updates of the weights, or gradients on their way.

    What it measures:
        For weights kept in bfloat16 or float16: how much of the optimizer's intended update the weights really made
        (the realised fraction). For gradients that pass through float16: whether they are so small that they flush to
        zero. For adaptive optimizers on half-precision weights: whether epsilon outweighs the gradient.

    Why it hurts:
        A bfloat16 weight of 1 does not move by less than 0.004: after a thousand updates of 0.001 it is still 1. The
        gradient norm looks normal all the while. A float16 gradient below 3e-8 is 0, and all layers behind it stop
        learning.

    When it misleads:
        The share of weights that did not change is no measure: it was 0.37 in a run that lost nothing, since most
        updates of single weights are small. Gains and biases near 1 stay put in every bfloat16 run. A learning rate
        that decays to nothing loses its last updates; steps below a tenth of the largest rate are not judged. Weights
        kept in float32 beside half-precision copies (autocast) lose nothing. An update that float32 would lose as well
        is too small, not too coarse.

    Thresholds:
        realised: mean realised fraction over the entries of the weights, "1" (theory page, low precision: severe below
            0.5; 0.99 trained, 0.22 did not).
        intended: relative update, "1", that the optimizer must have meant; smaller ones would hardly matter in float32.
        flushed: share of entries, "1", of float16 gradients that are zero or subnormal. Own choice, with the size of
            the gradient beside it: a ReLU makes zeros too.
        eps_share: mean share of epsilon in Adam's denominator, "1" (theory page: severe above 0.5).
        decayed: part of the largest learning rate, "1", below which a step is not judged. Own choice.

    Source:
        Theory page, section on criteria, low precision; Micikevicius et al., ICLR 2018 (loss scaling); torchao issue
        1124 and torchtune issue 2254 (updates rounded away); PyTorch issue 8860 (epsilon in float16).
    """

    realised: float = 0.5
    intended: float = 1e-6
    flushed: float = 0.5
    eps_share: float = 0.5
    decayed: float = 0.1

    messages: ClassVar[Mapping[str, str]] = {
        "rounded": "Only {share} of each update reaches the weights: the rest is rounded away in {dtype}.",
        "flushed": "Gradients in float16 flush to zero in {count} of {total} layers: they are of size {size}, and "
        "the format ends at 6e-08.",
        "flushed-weights": "{share} of the float16 gradients are zero or subnormal: they are of size {size}.",
        "epsilon": "Epsilon makes up {share} of the optimizer's denominator on {dtype} weights: they hardly move.",
        "cause-rounding": "weights are kept in {dtype}, whose steps are {step} of a weight; the updates are "
        "{update} of it",
        "cause-unscaled": "the loss is not scaled up before it enters float16",
        "cause-scaled": "the loss scale {scale} is too small for these gradients",
        "cause-epsilon": "epsilon {eps} is larger than the gradients' size",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return what rounding takes: from updates, from gradients, from the optimizer's denominator."""
        found = self._rounded(trace) or self._flushed(trace) or self._epsilon(trace)
        return (found,) if found is not None else ()

    def _rounded(self, trace: Trace) -> Finding | None:
        """Judge the updates of weights that are kept in half precision."""
        worst: list[tuple[ParamInfo, float, float]] = []
        for info in (candidate for candidate in trace.parameters if candidate.dtype in _HALF):
            update = self._intended(trace, info)
            fraction = self._realised(trace, info)
            if math.isfinite(fraction) and update >= self.intended:
                worst.append((info, fraction, update))
        entries = sum(info.numel for info, _, _ in worst)
        if not entries:
            return None
        share = sum(max(0.0, fraction) * info.numel for info, fraction, _ in worst) / entries
        if share >= self.realised:
            return None
        lost = [(info, update) for info, fraction, update in worst if fraction < self.realised]
        info, update = max(lost, key=lambda pair: pair[0].numel)
        coarse = 2.0**-8 if info.dtype == "bfloat16" else 2.0**-11
        cause = self.cause(
            CauseKind.PRECISION, 1.0 - share, "cause-rounding",
            dtype=info.dtype, step=number(coarse), update=number(update),
        )  # fmt: skip
        return self._finding(
            trace, ("rounded", {"share": percent(share), "dtype": info.dtype}), tuple(i.name for i, _ in lost), cause,
            (Evidence("realised part of the updates", share, self.realised, "1", info.name),),
        )  # fmt: skip

    def _realised(self, trace: Trace, info: ParamInfo) -> float:
        """Return the median realised fraction of a parameter, over steps at which the learning rate was not decayed."""
        fractions = late(trace.get(Statistic.REALISED_FRACTION, info.name))
        rates = trace.get(Statistic.LEARNING_RATE, f"{info.optimizer}/{info.group}").finite
        if len(rates) == 0 or len(fractions) == 0:
            return fractions.median()
        current = rates.values[np.maximum(0, np.searchsorted(rates.steps, fractions.steps, side="right") - 1)]
        kept = fractions.values[current >= self.decayed * rates.values.max()]
        return float(np.median(kept)) if len(kept) else math.nan

    def _intended(self, trace: Trace, info: ParamInfo) -> float:
        """Return the relative update that the optimizer meant to make, from its learning rate; 0 when unknown."""
        optimizer = trace.optimizers[info.optimizer] if 0 <= info.optimizer < len(trace.optimizers) else None
        rate = trace.get(Statistic.LEARNING_RATE, f"{info.optimizer}/{info.group}").finite.values
        weight = trace.get(Statistic.WEIGHT_RMS, info.name).median()
        if optimizer is None or not len(rate) or not weight > 0:
            return 0.0
        size = 1.0 if optimizer.family == "adaptive" else late_median(trace.get(Statistic.GRAD_RMS, info.name))
        return float(rate.max()) * size / weight if math.isfinite(size) else 0.0

    def _flushed(self, trace: Trace) -> Finding | None:
        """Judge gradients that pass through float16, where the run learns little or nothing."""
        if progress(trace).state not in (State.STUCK, State.LEARNING):
            return None
        scale = trace.get(Statistic.LOSS_SCALE).finite.last()
        factor = scale if scale > 0 else 1.0
        cause = (
            self.cause(CauseKind.PRECISION, 1.0, "cause-scaled", scale=number(scale))
            if scale > 1
            else self.cause(CauseKind.PRECISION, 1.0, "cause-unscaled")
        )
        return (
            self._flushed_layers(trace, factor, cause)
            or self._flushed_on_conversion(trace, factor, cause)
            or self._flushed_weights(trace, factor, cause)
        )

    def _flushed_layers(self, trace: Trace, factor: float, cause: Cause) -> Finding | None:
        """Judge layers whose gradient flows in float16: zero there, and near the end of the format where it is not."""
        sizes = {
            site.name: factor * late_median(trace.get(Statistic.GRAD_OUTPUT_RMS, site.name))
            for site in trace.layers
            if site.dtype == "float16"
        }
        known = {name: size for name, size in sizes.items() if math.isfinite(size)}
        gone = tuple(name for name, size in known.items() if size == 0.0)
        largest = max(known.values(), default=math.inf)
        if not gone or len(gone) < self.flushed * len(known) or largest >= _SMALLEST_NORMAL:
            return None
        text = ("flushed", {"count": str(len(gone)), "total": str(len(known)), "size": number(largest)})
        evidence = (
            Evidence("layers whose gradient flushes to zero", len(gone) / len(known), self.flushed, "1"),
            Evidence("largest gradient in float16", largest, _SMALLEST_NORMAL, "loss/x"),
        )
        names = tuple(name for site in trace.layers if site.name in gone for name in site.parameters)
        return self._finding(trace, text, names, cause, evidence)

    def _flushed_on_conversion(self, trace: Trace, factor: float, cause: Cause) -> Finding | None:
        """Judge layers that work in float32 behind a conversion: what arrives there is below what float16 can hold."""
        blocked = [ledger for ledger in trace.ledgers if ledger.attenuation == -math.inf]
        converted = any("copy" in entry.operation.lower() for ledger in blocked for entry in ledger)
        sizes = {
            site.name: factor * late_median(trace.get(Statistic.GRAD_OUTPUT_RMS, site.name)) for site in trace.layers
        }
        gone = tuple(name for name, size in sizes.items() if size == 0.0)
        arriving = max((size for size in sizes.values() if size > 0), default=math.inf)
        if not converted or not gone or arriving >= _UNDERFLOWS:
            return None
        text = ("flushed", {"count": str(len(gone)), "total": str(len(sizes)), "size": number(arriving)})
        evidence = (
            Evidence("layers whose gradient flushes to zero", len(gone) / len(sizes), None, "1"),
            Evidence("largest gradient in float16", arriving, _UNDERFLOWS, "loss/x"),
        )
        names = tuple(name for site in trace.layers if site.name in gone for name in site.parameters)
        return self._finding(trace, text, names, cause, evidence)

    def _flushed_weights(self, trace: Trace, factor: float, cause: Cause) -> Finding | None:
        """Judge gradients of weights that are kept in float16."""
        held = [info for info in trace.parameters if info.dtype == "float16" and len(info.shape) >= 2]
        shares = {info.name: late_median(trace.get(Statistic.GRAD_ZERO_SHARE, info.name)) for info in held}
        sizes = {info.name: factor * late_median(trace.get(Statistic.GRAD_RMS, info.name)) for info in held}
        held = [info for info in held if math.isfinite(shares[info.name]) and sizes[info.name] < _SMALLEST_NORMAL]
        entries = sum(info.numel for info in held)
        if not entries:
            return None
        share = sum(shares[info.name] * info.numel for info in held) / entries
        if share <= self.flushed:
            return None
        size = max(sizes[info.name] for info in held)
        text = ("flushed-weights", {"share": percent(share), "size": number(size)})
        evidence = (
            Evidence("entries of float16 gradients that flush", share, self.flushed, "1"),
            Evidence("largest gradient in float16", size, _SMALLEST_NORMAL, "loss/W"),
        )
        return self._finding(trace, text, tuple(info.name for info in held), cause, evidence)

    def _epsilon(self, trace: Trace) -> Finding | None:
        """Judge epsilon beside the gradients of half-precision weights."""
        held = [info for info in trace.parameters if info.dtype in _HALF and len(info.shape) >= 2]
        shares = {info.name: late_median(trace.get(Statistic.EPS_SHARE, info.name)) for info in held}
        held = [info for info in held if shares[info.name] > self.eps_share]
        if not held or not progress(trace).failing:
            return None
        info = max(held, key=lambda candidate: candidate.numel)
        optimizer = trace.optimizer_of(info.name)
        eps = next((group["eps"] for group in (optimizer.groups if optimizer else ()) if "eps" in group), math.nan)
        cause = self.cause(CauseKind.OPTIMIZER_EPSILON, shares[info.name], "cause-epsilon", eps=number(eps))
        text = ("epsilon", {"share": percent(shares[info.name]), "dtype": info.dtype})
        evidence = (Evidence("share of epsilon in the denominator", shares[info.name], self.eps_share, "1", info.name),)
        return self._finding(trace, text, tuple(i.name for i in held), cause, evidence)

    def _finding(
        self,
        trace: Trace,
        text: tuple[str, dict[str, str]],
        parameters: tuple[str, ...],
        cause: Cause,
        evidence: tuple[Evidence, ...],
    ) -> Finding:
        state = progress(trace).state
        severity = {State.SOLVED: Severity.INFO, State.LEARNING: Severity.WARNING, State.UNKNOWN: Severity.WARNING}
        message, key, values = self.say(text[0], **text[1])
        sites = [site for site in trace.layers if set(site.parameters) & set(parameters)]
        return Finding(
            rule=self.id,
            severity=severity.get(state, Severity.ERROR),
            message=message,
            first_step=0,
            last_step=max(0, trace.steps - 1),
            modules=tuple(site.name for site in sites) or module_of(trace, parameters),
            parameters=parameters,
            source=lines(*(site.source for site in sites)),
            evidence=evidence,
            cause=cause,
            message_key=key,
            values=values,
        )


RULE = PrecisionLoss()
