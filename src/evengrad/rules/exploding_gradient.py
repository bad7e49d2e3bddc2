"""A gradient that grows by orders of magnitude across depth, time or training steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.ledger import Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._blame import blame
from evengrad.rules._depth import Depth, depths, parameters, potentials, source_lines
from evengrad.rules._growth import Growth, growth
from evengrad.rules._progress import Progress, State, progress
from evengrad.rules._rate import highest_rate, wreck
from evengrad.rules._time import TimeDecay, time_decays
from evengrad.rules._weights import largest_updates, weight_growth
from evengrad.rules._words import lines, number, place

_NON_FINITE = (
    EventKind.NON_FINITE,
    EventKind.NON_FINITE_LOSS,
    EventKind.NON_FINITE_GRADIENT,
    EventKind.NON_FINITE_WEIGHT,
)


@dataclass(frozen=True)
class ExplodingGradient(AbstractRule):
    """The gradient grows by orders of magnitude on its way back, or from one training step to the next.

    What it measures:
        Across depth: ``A``, log10 of the gradient's size at the first layer's output over that at the last layer's.
            Across
        time: the same from the last to the first time step of a recurrent layer. Across steps: by how many decades the
        global gradient norm and the loss have climbed above their lowest level, while still finite.

    Why it hurts:
        Early layers (early time steps) take steps that are too long by orders of magnitude, whatever the learning rate
        that suits the last ones. Growth from step to step ends in Inf and NaN.

    When it misleads:
        A large norm is no explosion: it grows with the square root of the number of parameters and with the loss's
            scale.
        Neither changes ``A``. A single spike is :class:`gradient-spike`'s. A recurrent net whose gradient grows across
        time but is clipped may train well; then the growth is information only. Batch normalisation without skip
        connections explodes backward while the forward pass looks perfect.

    Thresholds:
        warn: attenuation, decades; taken seriously only with a loss that rises or is lost. Theory page, criteria: +2.
        severe: attenuation, decades. Theory page: trained nets up to +1.60, failed ones +3.20 and above.
        time: growth across the sequence, decades. Theory page: failed +8 and +9; +3 as for depth.
        steps: growth of the gradient norm over its lowest level, decades. Own choice: healthy runs stay within 1
            (theory
            page: ratio to the running median up to 9.7).
        loss_steps: growth of the loss, decades. Own choice: ten times above its lowest level and still rising.
        input_rms: size of the data, "x", above which it is the data that overfeeds the first layer. Theory page: 10.

    Source:
        Pascanu et al., ICML 2013, section 2; Yang et al., ICLR 2019 (batch normalisation); theory page, sections on
        criteria and on the ledger.
    """

    warn: float = 2.0
    severe: float = 3.0
    time: float = 3.0
    steps: float = 3.0
    loss_steps: float = 1.0
    input_rms: float = 10.0

    messages: ClassVar[Mapping[str, str]] = {
        "depth": "The gradient grows by {decades} decades from `{last}` back to `{first}`.",
        "depth-trains": "The gradient grows by {decades} decades from `{last}` back to `{first}`; the run learns all "
        "the same.",
        "time": "Across the {length} time steps of `{module}` the gradient grows by {decades} decades on its way back.",
        "time-trains": "Across the {length} time steps of `{module}` the gradient grows by {decades} decades on its "
        "way back; the run learns all the same.",
        "steps": "Over {count} steps the gradient norm has grown by {decades} decades and the loss by {loss}.",
        "cause-weights": "of the {total} decades, weights give {weights}, activation derivatives {taken}, the rest "
        "{rest}; the weights are {factor} times the scale that keeps a gradient",
        "cause-depth": "of the {total} decades, weights and normalisation give {weights}, activation derivatives "
        "{taken}, the rest {rest}: {layers} layers in a row multiply what a skip connection with normalisation would "
        "add",
        "cause-activation": "of the {total} decades, {operation} derivatives give {taken}, weights {weights}, the "
        "rest {rest}",
        "cause-recurrent": "each time step multiplies the gradient by {factor}",
        "cause-recurrent-depth": "of the {total} decades, the recurrent layer gives {part}",
        "cause-rate": "the network began sound ({start} decades across depth); updates of {ratio} times a weight's "
        "size, at a learning rate of {rate}, blew it up",
        "cause-rate-plain": "the network began sound; at a learning rate of {rate} each step undoes more than the one "
        "before",
        "cause-input": "the data has size {size}, so that the weights' gradients are as many times too large",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return what grows across depth, else across time, else from step to step."""
        run = progress(trace)
        found = [
            finding
            for depth in depths(trace, failing=run.failing)
            if (finding := self._across_depth(trace, depth, run)) is not None
        ]
        found = found or [
            f
            for decay in time_decays(trace, failing=run.failing)
            if (f := self._across_time(trace, decay, run)) is not None
        ]
        if any(finding.severity is not Severity.INFO for finding in found):
            return tuple(found)
        climb = growth(trace) if run.state is State.DIVERGING else None
        if climb is not None and climb.gradient >= self.steps and climb.loss >= self.loss_steps:
            return (self._across_steps(trace, climb),)
        return tuple(found)

    def _severity(self, run: Progress) -> Severity:
        """Return how bad a severe growth is, by what became of the run."""
        if run.state is State.SOLVED:
            return Severity.INFO
        return Severity.ERROR if run.failing else Severity.WARNING

    def _across_depth(self, trace: Trace, depth: Depth, run: Progress) -> Finding | None:
        """Judge one chain of layers; of a run that fails, the worst probe: it can wreck what later ones measure."""
        ledger = depth.largest if run.failing else depth.typical
        grown = ledger.attenuation
        if grown < self.warn or (grown < self.severe and not self._lost(trace, run)):
            return None
        severity = self._severity(run) if grown >= self.severe else Severity.WARNING
        text, key, values = self.say(
            "depth-trains" if severity is Severity.INFO else "depth",
            decades=f"{ledger.attenuation:.1f}", last=ledger.last, first=ledger.first,
        )  # fmt: skip
        layers = tuple(module for module, level in reversed(potentials(trace, ledger).items()) if level >= self.warn)
        reason = blame(ledger)
        return Finding(
            rule=self.id,
            severity=severity,
            message=text,
            first_step=depth.since(self.warn),
            last_step=depth.ledgers[-1].step,
            modules=layers,
            parameters=parameters(trace, layers),
            source=lines(reason.entry.source if reason.entry else None, *source_lines(trace, layers)),
            evidence=(Evidence("gradient across depth", ledger.attenuation, self.severe, "decades", ledger.first),),
            cause=self._depth_cause(trace, depth, ledger),
            message_key=key,
            values=values,
        )

    def _lost(self, trace: Trace, run: Progress) -> bool:
        """Return whether the run has come to grief: a rising loss, or values that are not finite."""
        return run.state is State.DIVERGING or bool(trace.events_of(*_NON_FINITE))

    def _depth_cause(self, trace: Trace, depth: Depth, ledger: Ledger) -> Cause:
        """Put the ledger's blame into words; what began sound was blown up by its updates."""
        rate = self._rate_cause(trace, depth.ledgers[0].attenuation)
        if rate is not None:
            return rate
        reason = blame(ledger)
        common = {
            "total": f"{ledger.attenuation:.1f}", "weights": f"{reason.weights:+.1f}",
            "taken": f"{reason.activations:+.1f}", "rest": f"{reason.rest:+.1f}",
        }  # fmt: skip
        if reason.kind is CauseKind.WEIGHT_SCALE_LARGE:
            factor = number(10 ** (reason.part / max(1, ledger.layers - 1)))
            return self.cause(reason.kind, reason.share, "cause-weights", factor=factor, **common)
        if reason.kind is CauseKind.ACTIVATION_DERIVATIVE:
            return self.cause(reason.kind, reason.share, "cause-activation", operation=reason.operation, **common)
        if reason.kind is CauseKind.RECURRENT_JACOBIAN:
            part = {"total": common["total"], "part": f"{reason.part:+.1f}"}
            return self.cause(reason.kind, reason.share, "cause-recurrent-depth", **part)
        kind = CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM
        return self.cause(kind, reason.share, "cause-depth", layers=str(ledger.layers), **common)

    def _rate_cause(self, trace: Trace, start: float) -> Cause | None:
        """Return the learning rate as cause where a network that began sound met updates too large for it, or None."""
        hit = wreck(trace, start)
        if hit is not None and hit.evident:
            values = {"start": f"{start:+.1f}", "ratio": number(hit.ratio), "rate": number(hit.rate)}
            return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-rate", **values)
        if hit is not None and weight_growth(trace)[0] > 1.0:
            return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-rate-plain", rate=number(hit.rate))
        return None

    def _across_time(self, trace: Trace, decay: TimeDecay, run: Progress) -> Finding | None:
        """Judge one recurrent layer."""
        decades = decay.largest if run.failing else decay.decades
        if decades < self.time:
            return None
        severity = self._severity(run)
        text, key, values = self.say(
            "time-trains" if severity is Severity.INFO else "time",
            length=str(decay.length), module=place(trace, decay.module), decades=f"{decades:.1f}",
        )  # fmt: skip
        per_step = number(10 ** (decades / max(1, decay.length - 1)))
        return Finding(
            rule=self.id,
            severity=severity,
            message=text,
            first_step=decay.since(self.time),
            last_step=decay.last_step,
            modules=(decay.module,),
            parameters=parameters(trace, (decay.module,)),
            source=lines(*source_lines(trace, (decay.module,)), decay.source),
            evidence=(Evidence("gradient across time", decades, self.time, "decades", decay.module),),
            cause=self._rate_cause(trace, decay.start)
            or self.cause(CauseKind.RECURRENT_JACOBIAN, 1.0, "cause-recurrent", factor=per_step),
            message_key=key,
            values=values,
        )

    def _across_steps(self, trace: Trace, climb: Growth) -> Finding:
        """Return the finding on a run that climbs towards NaN."""
        text, key, values = self.say(
            "steps",
            count=str(climb.last_step - climb.first_step + 1),
            decades=f"{climb.gradient:.1f}",
            loss=f"{climb.loss:.1f}",
        )
        largest = max(largest_updates(trace), key=lambda update: update.ratio, default=None)
        held = (largest.parameter,) if largest is not None else ()
        owner = trace.parameter(held[0]) if held else None
        optimizer = trace.optimizer_of(held[0]) if held else None
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=climb.first_step,
            last_step=climb.last_step,
            modules=(owner.module,) if owner is not None else (),
            parameters=held,
            source=lines(optimizer.source if optimizer is not None else None),
            evidence=(
                Evidence("growth of the gradient norm", climb.gradient, self.steps, "decades"),
                Evidence("growth of the loss", climb.loss, self.loss_steps, "decades"),
            ),
            cause=self._steps_cause(trace),
            message_key=key,
            values=values,
        )

    def _steps_cause(self, trace: Trace) -> Cause | None:
        """Return why a sound-looking network climbs: its data, or its learning rate."""
        first = next(iter(trace.layers), None)
        size = trace.get(Statistic.INPUT_RMS, first.name).first() if first is not None else math.nan
        if first is not None and size > self.input_rms:
            return self.cause(CauseKind.INPUT_SCALE, 1.0, "cause-input", size=number(size))
        starts = [depth.ledgers[0].attenuation for depth in depths(trace)]
        start = starts[0] if starts else math.nan
        plain = self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-rate-plain", rate=number(highest_rate(trace)))
        return self._rate_cause(trace, start) or (plain if wreck(trace, start) is not None else None)


RULE = ExplodingGradient()
