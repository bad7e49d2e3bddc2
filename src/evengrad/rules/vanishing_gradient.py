"""A gradient that is lost on its way back across depth or time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._blame import Blame, blame
from evengrad.rules._consequence import Consequence, Limits, consequence
from evengrad.rules._copies import copied_layers
from evengrad.rules._dead import dead_sites, zero_weights
from evengrad.rules._depth import Depth, depths, parameters, shown, sites, source_lines, starved
from evengrad.rules._progress import Progress, State, progress
from evengrad.rules._rate import weight_shrinkage, wreck
from evengrad.rules._time import TimeDecay, time_decays
from evengrad.rules._weights import decayed
from evengrad.rules._words import lines, number, place


@dataclass(frozen=True)
class VanishingGradient(AbstractRule):
    """The gradient falls by orders of magnitude on its way back, and the optimizer feels it.

    What it measures:
        Across depth: ``A``, log10 of the gradient's size at the first layer's output over that at the last layer's, in
        decades, on the probes of the later half of the run (of a run that goes nowhere, on all but the first); what
        the optimizer in use makes of it (updates of the starved layers, share of epsilon, signal left to learn from);
        and whether the loss has left the level of a guess. Across time: the same from the last to the first time step
        of a recurrent layer.

    Why it hurts:
        Early layers get no usable gradient. They stay as they were initialised and hand noise on to the layers that do
        learn. Across time, what happened early in a sequence cannot be learned.

    When it misleads:
        A small gradient is no fault by itself. Adam divides by its size: a net with A = -4.8 trains, so for adaptive
        optimizers epsilon or a dead forward signal must be seen as well. Zero-initialised heads, adapters and ReZero
        branches pass exactly nothing at step 0 and recover at step 1. Parameter gradients are not compared: in a ReLU
        net without biases they are equal in every layer while the signal dies. A loss at every time step feeds every
        step afresh; only what the profile shows is judged, and a short memory is a fault only when the run goes
        nowhere.

    Thresholds:
        warn: attenuation, decades. Theory page, criteria: nets that trained lie in [-2.86, +1.60].
        severe: attenuation, decades. Theory page: nets that failed lie at -4.33 and below.
        time: attenuation across the sequence, decades. Theory page: trained -2.86 (GRU), failed -12 and below; -4 as
            for depth.
        hardly: share of the loss gone, "1", up to which a run with twice that attenuation is warned. Own choice.
        fell: decades lost since the first probe, from which on training is to blame. Own choice: two of the four.
        shrunk: decades by which weights have shrunk, above which they lost the gradient themselves (strong decay). Own
            choice: a fifth of their size, which ten layers turn into one decade.
        limits: when an optimizer feels it; see :class:`evengrad.rules._consequence.Limits`.
        input_rms: size of the data, "x", outside which saturation of the first activation is the data's fault. Theory
            page, criteria: [0.1, 10].

    Source:
        Hochreiter 1991; Glorot and Bengio, AISTATS 2010, section 4.2; Pascanu et al., ICML 2013, section 2. Theory
        page, sections on the ledger and on criteria.
    """

    warn: float = -3.0
    severe: float = -4.0
    time: float = -4.0
    hardly: float = 0.25
    fell: float = 2.0
    shrunk: float = 0.1
    limits: Limits = field(default_factory=Limits)
    input_rms: float = 10.0

    messages: ClassVar[Mapping[str, str]] = {
        "depth-starved": "The gradient falls by {decades} decades from `{last}` back to `{first}`: relative to its "
        "weights, the update of `{first}` is {ratio} times that of `{last}`.",
        "depth-tiny": "The gradient falls by {decades} decades from `{last}` back to `{first}`: one step changes "
        "{layers} by {ratio} of their size.",
        "depth-epsilon": "The gradient falls by {decades} decades from `{last}` back to `{first}`: in {layers} the "
        "optimizer divides by its eps ({ratio}), not by the gradient.",
        "depth-indistinct": "The gradient falls by {decades} decades from `{last}` back to `{first}`, and forward all "
        "samples look the same at `{last}`.",
        "depth-faded": "The gradient falls by {decades} decades from `{last}` back to `{first}`, and forward the "
        "signal at `{last}` is {ratio} times that of the first hidden layer.",
        "depth-zero": "No gradient at all reaches {layers}.",
        "depth-stuck": "The gradient falls by {decades} decades from `{last}` back to `{first}`, and the loss stays "
        "where it was.",
        "depth-trains": "The gradient falls by {decades} decades from `{last}` back to `{first}`; the run learns all "
        "the same.",
        "time": "Across the {length} time steps of `{module}` the gradient falls by {decades} decades: what happens "
        "early in a sequence cannot be learned.",
        "cause-activation": "of the {total} decades, {operation} derivatives take {taken}, weights {weights}, the "
        "rest {rest}; no useful weight scale makes up for what {operation} takes",
        "cause-saturated": "of the {total} decades, {operation} derivatives take {taken}, weights {weights}, the rest "
        "{rest}: the activations are far from where they pass gradient",
        "cause-weights": "of the {total} decades, weights take {weights}, {operation} derivatives {taken}, the rest "
        "{rest}; the weights are {factor} times the scale that keeps a gradient",
        "cause-linear": "of the {total} decades, weights take {weights}, the rest {rest}",
        "cause-depth": "of the {total} decades, weights take {weights}, activations {taken}, the rest {rest}: no "
        "single layer is at fault, {layers} in a row without a skip connection or normalisation are",
        "cause-decay": "weight decay {coefficient} at a learning rate of {rate} takes {part} of every weight per "
        "step: `{parameter}` has {left} of its first size left",
        "cause-recurrent": "of the {total} decades, the recurrent layer takes {part}",
        "cause-recurrent-time": "each time step multiplies the gradient by {factor}",
        "cause-dead": "{operation} units of `{module}` pass no gradient",
        "cause-blocked-activation": "{operation} at `{module}` is so saturated that its derivative is exactly 0",
        "cause-zero-signal": "the gradient is exactly 0 when it reaches `{module}`",
        "cause-precision": "the gradient underflows to 0 where `{module}` converts between number formats",
        "cause-rate": "the gradient was sound at first ({start} decades across depth); training lost it, with updates "
        "of up to {ratio} times a weight's size at a learning rate of {rate}",
        "cause-input": "the data has size {size}, so that {operation} after `{module}` saturates and takes {taken} "
        "decades",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return a finding per optimizer whose early layers starve, else one per recurrent layer that forgets."""
        run = progress(trace)
        found = [
            finding
            for depth in depths(trace, failing=run.failing)
            if (finding := self._across_depth(trace, depth, run)) is not None
        ]
        if found:
            return tuple(found)
        hardly = run.state is State.LEARNING and run.gone < self.hardly
        decays = time_decays(trace, failing=run.failing or hardly)
        return tuple(self._across_time(trace, decay, run) for decay in decays if self._forgets(decay, run))

    def _across_depth(self, trace: Trace, depth: Depth, run: Progress) -> Finding | None:
        """Judge one chain of layers."""
        if depth.attenuation > self.warn or self._is_anothers(trace, depth.typical):
            return None
        layers = starved(trace, depth.typical, self.warn)
        felt = consequence(trace, depth.typical, layers, self.limits)
        severity = self._severity(depth, felt, run)
        return None if severity is None else self._finding(trace, depth, layers, run, (severity, felt))

    def _is_anothers(self, trace: Trace, ledger: Ledger) -> bool:
        """Return whether another rule reports what loses the path: dead or copied units, zero weights, flatness."""
        reason = blame(ledger)
        if reason.kind is CauseKind.DEAD_UNITS and dead_sites(trace):
            return True
        if ledger.attenuation == -math.inf and (barrier := reason.entry) is not None:
            flat = barrier.kind in (EntryKind.SHAPE, EntryKind.OTHER) and reason.kind is not CauseKind.PRECISION
            if flat or zero_weights(trace, sites(trace, (barrier.module,))):
                return True
        return bool(copied_layers(trace))

    def _severity(self, depth: Depth, felt: Consequence | None, run: Progress) -> Severity | None:
        """Return how bad it is: the run must fail because of it to be an error."""
        severe = depth.attenuation <= self.severe
        if run.state is State.SOLVED or (felt is None and run.state is not State.STUCK):
            known = severe and depth.attenuation > -math.inf and run.state in (State.SOLVED, State.LEARNING)
            return Severity.INFO if known else None
        if felt is None:
            return Severity.WARNING if severe else None
        if severe:
            return Severity.ERROR if run.failing else Severity.WARNING
        return Severity.WARNING if run.failing else None

    def _finding(
        self,
        trace: Trace,
        depth: Depth,
        layers: tuple[str, ...],
        run: Progress,
        verdict: tuple[Severity, Consequence | None],
    ) -> Finding:
        severity, felt = verdict
        ledger = depth.typical
        effect = felt.effect.value if felt else "stuck"
        text, key, values = self.say(
            "depth-trains" if severity is Severity.INFO else f"depth-{effect}",
            decades=_size(depth.attenuation), last=ledger.last, first=ledger.first, layers=shown(layers),
            ratio=number(felt.evidence.measured) if felt else "",
        )  # fmt: skip
        reason = blame(ledger)
        evidence = [Evidence("gradient across depth", depth.attenuation, self.severe, "decades", ledger.first)]
        evidence += [felt.evidence] if felt else []
        return Finding(
            rule=self.id,
            severity=severity,
            message=text,
            first_step=depth.since(self.warn),
            last_step=depth.ledgers[-1].step,
            modules=layers,
            parameters=parameters(trace, layers),
            source=lines(reason.entry.source if reason.entry else None, *source_lines(trace, layers)),
            evidence=(*evidence, *_loss_evidence(run)),
            cause=self._cause(trace, depth, reason),
            message_key=key,
            values=values,
        )

    def _cause(self, trace: Trace, depth: Depth, reason: Blame) -> Cause:
        """Put the ledger's blame into words."""
        ledger = depth.typical
        module = reason.entry.module if reason.entry else ledger.first
        decay = decayed(trace)
        if decay is not None and depth.since(self.warn) > 0:
            return self.cause(CauseKind.WEIGHT_SCALE_SMALL, 1.0, "cause-decay", **decay.words())
        if ledger.attenuation == -math.inf:
            return self._blocked_cause(trace, reason, module)
        common = {
            "total": _size(ledger.attenuation),
            "weights": _signed(reason.weights),
            "taken": _signed(reason.activations),
            "rest": _signed(reason.rest),
            "operation": reason.operation or "-",
        }
        other = self._saturated_by_data(trace, depth, reason) or self._lost_in_training(trace, depth)
        if other is not None:
            return other
        if reason.kind is CauseKind.ACTIVATION_DERIVATIVE:
            bounded = reason.operation.lower() in ("sigmoid", "hardsigmoid", "softplus", "logsigmoid")
            return self.cause(reason.kind, reason.share, "cause-activation" if bounded else "cause-saturated", **common)
        if reason.kind is CauseKind.WEIGHT_SCALE_SMALL:
            factor = number(10 ** (reason.part / max(1, ledger.layers - 1)))
            key = "cause-weights" if reason.operation else "cause-linear"
            return self.cause(reason.kind, reason.share, key, factor=factor, **common)
        if reason.kind is CauseKind.DEAD_UNITS:
            return self.cause(
                reason.kind, reason.share, "cause-dead", operation=reason.operation, module=place(trace, module)
            )
        if reason.kind is CauseKind.RECURRENT_JACOBIAN:
            values = {"total": common["total"], "part": _signed(reason.part)}
            return self.cause(reason.kind, reason.share, "cause-recurrent", **values)
        return self.cause(reason.kind, reason.share, "cause-depth", layers=str(ledger.layers), **common)

    def _blocked_cause(self, trace: Trace, reason: Blame, module: str) -> Cause:
        """Name what lets exactly nothing through."""
        keys = {
            CauseKind.DEAD_UNITS: "cause-dead",
            CauseKind.ACTIVATION_DERIVATIVE: "cause-blocked-activation",
            CauseKind.PRECISION: "cause-precision",
        }
        key = keys.get(reason.kind, "cause-zero-signal")
        return self.cause(reason.kind, reason.share, key, operation=reason.operation, module=place(trace, module))

    def _saturated_by_data(self, trace: Trace, depth: Depth, reason: Blame) -> Cause | None:
        """Return the data as cause where the first activation takes most, and what feeds it is far from unit size."""
        ledger = depth.typical
        size = trace.get(Statistic.INPUT_RMS, ledger.first).median()
        if reason.kind is not CauseKind.ACTIVATION_DERIVATIVE or not size > self.input_rms or not ledger.entries:
            return None
        taken = ledger.entries[-1].decades
        if taken > 0.5 * reason.activations:
            return None
        share, values = taken / reason.activations, {"operation": reason.operation, "taken": _size(taken)}
        return self.cause(
            CauseKind.INPUT_SCALE, share, "cause-input", size=number(size), module=place(trace, ledger.first), **values
        )

    def _lost_in_training(self, trace: Trace, depth: Depth) -> Cause | None:
        """Return the learning rate as cause where the gradient was sound at first, unless the weights have shrunk."""
        start = depth.ledgers[0].attenuation
        hit = wreck(trace, start)
        fell = depth.ledgers[0].step == 0 and depth.attenuation <= start - self.fell
        if hit is None or not fell or (not hit.evident and weight_shrinkage(trace) > self.shrunk):
            return None
        values = {"start": f"{start:+.1f}", "rate": number(hit.rate), "ratio": number(hit.ratio)}
        return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0 if hit.evident else 0.5, "cause-rate", **values)

    def _forgets(self, decay: TimeDecay, run: Progress) -> bool:
        """Return whether a recurrent layer's memory is too short for a run that goes nowhere, or hardly anywhere."""
        hardly = run.state is State.LEARNING and run.gone < self.hardly and decay.decades <= 2 * self.time
        return hardly or (decay.decades <= self.time and run.state is State.STUCK)

    def _across_time(self, trace: Trace, decay: TimeDecay, run: Progress) -> Finding:
        text, key, values = self.say(
            "time", length=str(decay.length), module=place(trace, decay.module), decades=_size(decay.decades)
        )
        per_step = number(10 ** (decay.decades / max(1, decay.length - 1)))
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if run.failing else Severity.WARNING,
            message=text,
            first_step=decay.since(self.time),
            last_step=decay.last_step,
            modules=(decay.module,),
            parameters=parameters(trace, (decay.module,)),
            source=lines(*source_lines(trace, (decay.module,)), decay.source),
            evidence=(
                Evidence("gradient across time", decay.decades, self.time, "decades", decay.module),
                *_loss_evidence(run),
            ),
            cause=self.cause(CauseKind.RECURRENT_JACOBIAN, 1.0, "cause-recurrent-time", factor=per_step),
            message_key=key,
            values=values,
        )


def _loss_evidence(run: Progress) -> tuple[Evidence, ...]:
    """Return how much of a guess's loss is gone, where that is known."""
    if math.isnan(run.gone):
        return ()
    return (Evidence("share of the loss that is gone", run.gone, 0.1, "1"),)


def _size(decades: float) -> str:
    """Return a fall in decades without its sign."""
    return f"{abs(decades):.1f}"


def _signed(decades: float) -> str:
    return f"{decades:+.1f}"


RULE = VanishingGradient()
