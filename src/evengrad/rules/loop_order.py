"""Calls of the training loop in an order that undoes or repeats their effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._outcome import outcome
from evengrad.rules._words import lines, module_of, percent

_FATAL = (EventKind.ZERO_GRAD_BEFORE_STEP, EventKind.STEP_WITHOUT_BACKWARD, EventKind.FOREIGN_PARAMETERS)
"""Deviations that leave nothing to learn from, whatever the loss does."""

_PROTOCOL = (
    EventKind.ZERO_GRAD_MISSING,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP,
    EventKind.CLIP_BEFORE_UNSCALE,
    EventKind.DOUBLE_STEP,
    EventKind.STEP_WITHOUT_BACKWARD,
    EventKind.FOREIGN_PARAMETERS,
)


@dataclass(frozen=True)
class LoopOrder(AbstractRule):
    """zero_grad, backward, unscale, clip and step do not follow each other as they must.

    What it measures:
        The order of zero_grad, backward, unscale_, clipping and step between two optimizer steps, and on how many
        steps it deviates: gradients not zeroed (they add up over steps), zeroed between backward and step, clipped
        before they exist, after they were used, or while a loss scale is still in them; two steps on the same
        gradients; steps without a backward pass; an optimizer whose parameters never get a gradient while others do, or
        get none through a layer of zeros that is in no optimizer.

    Why it hurts:
        Nothing raises. Sums of old gradients act like a momentum near 1, a clip at the wrong place does nothing or
        divides the learning rate by the loss scale, and an optimizer of other parameters trains nothing at all; the
        loss curve looks like a bad learning rate.

    When it misleads:
        Several backward passes per step (accumulation) are no deviation, nor are parameters without gradients that sit
        beside others that have them (frozen layers, a head trained alone). A single deviation (the first step, the end
        of an epoch) is not systematic and not reported.

    Thresholds:
        systematic: share of the steps, "1", on which the same deviation must be seen. Own choice: a mistake in the
            loop's body shows on every step, save the first; an exception shows on few.
        fewest: occurrences below which nothing is said. Own choice.

    Source:
        PyTorch, "Automatic Mixed Precision examples" (unscale_ before clipping); accelerate issue 641, pytorch/examples
        issue 1196, alpaca_farm issue 58 for how often it happens.
    """

    systematic: float = 0.5
    fewest: int = 2

    messages: ClassVar[Mapping[str, str]] = {
        "zero-grad-missing": "Gradients are not zeroed: on {count} of {steps} steps backward added to those of the "
        "step before.",
        "zero-grad-before-step": "Gradients are zeroed between backward and step: {count} of {steps} steps had "
        "nothing to apply.",
        "clip-before-backward": "Clipping comes before backward: on {count} of {steps} steps it acted on no "
        "gradient, or on old ones.",
        "clip-after-step": "Clipping comes after the optimizer step: on {count} of {steps} steps it changed nothing"
        " any more.",
        "clip-before-unscale": "Clipping comes before unscale_: on {count} of {steps} steps the bound was held "
        "against gradients that are multiplied by the loss scale.",
        "double-step": "The optimizer steps twice on the same gradients, {count} times in {steps} rounds.",
        "step-without-backward": "The optimizer steps without a backward pass, on {count} of {steps} steps.",
        "foreign-parameters": "The optimizer holds parameters that get no gradient, while the model's own "
        "parameters, which get one, are in no optimizer.",
        "foreign-zero": "`{parameter}` is all zeros and in no optimizer: it stays so, and nothing that the optimizer "
        "holds ever gets a gradient through it.",
        "cause-zero": "the optimizer was built from a part of the model that leaves `{parameter}` out",
        "cause-order": "the order of calls in the training loop, on {part} of the steps",
        "cause-foreign": "the optimizer was given the parameters of another object than the one that is trained",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding for each kind of deviation that is systematic."""
        found = [self._deviation(trace, kind, trace.events_of(kind)) for kind in _PROTOCOL]
        found.append(self._zero_head(trace))
        return tuple(finding for finding in found if finding is not None)

    def _zero_head(self, trace: Trace) -> Finding | None:
        """Return the finding on a layer of zeros that no optimizer holds, where it keeps all others from learning."""
        events = [e for e in trace.events_of(EventKind.FOREIGN_PARAMETERS) if "zero" in e.details]
        held = [info.name for info in trace.parameters if info.optimizer >= 0]
        sizes = [trace.get(Statistic.GRAD_RMS, name).values for name in held]
        if not events or not any(map(len, sizes)) or any((values != 0).any() for values in sizes):
            return None
        parameters = tuple(events[0].details["parameters"].split(", "))
        text, key, values = self.say("foreign-zero", parameter=parameters[0])
        return Finding(
            rule=self.id,
            severity=Severity.ERROR,
            message=text,
            first_step=0,
            last_step=max(0, trace.steps - 1),
            modules=module_of(trace, parameters) or (parameters[0].rpartition(".")[0],),
            parameters=parameters,
            evidence=(Evidence("parameter tensors that ever got a gradient", 0.0, 1.0, "tensors"),),
            cause=self.cause(CauseKind.DISCONNECTED, 1.0, "cause-zero", parameter=parameters[0]),
            message_key=key,
            values=values,
        )

    def _deviation(self, trace: Trace, kind: EventKind, events: tuple[Event, ...]) -> Finding | None:
        count = sum(event.count for event in events)
        # Of two steps on the same gradients only the second one deviates.
        steps = max(1, trace.steps // 2 if kind is EventKind.DOUBLE_STEP else trace.steps)
        foreign = kind is EventKind.FOREIGN_PARAMETERS
        events = tuple(event for event in events if "zero" not in event.details)
        if foreign and not (events and self._holds_nothing_trained(trace)):
            return None
        if not foreign and (count < self.fewest or count < self.systematic * steps):
            return None
        share = 1.0 if foreign else min(1.0, count / steps)
        failed = kind in _FATAL or outcome(trace).failing
        text, key, values = self.say(kind.value, count=str(min(count, steps)), steps=str(steps))
        cause = (
            self.cause(CauseKind.DISCONNECTED, 1.0, "cause-foreign")
            if foreign
            else self.cause(CauseKind.LOOP_ORDER, share, "cause-order", part=percent(share))
        )
        parameters = tuple(
            name.strip() for e in events for name in e.details.get("parameters", "").split(",") if name.strip()
        )
        return Finding(
            rule=self.id,
            severity=Severity.ERROR if failed else Severity.WARNING,
            message=text,
            first_step=events[0].step,
            last_step=max(max(event.step, event.last_step) for event in events),
            modules=module_of(trace, parameters),
            parameters=parameters,
            source=lines(*(event.source for event in events)),
            evidence=(Evidence("steps in this order", share, self.systematic, "1"),),
            cause=cause,
            message_key=key,
            values=values,
        )

    def _holds_nothing_trained(self, trace: Trace) -> bool:
        """Return whether no parameter of some optimizer ever had a gradient, as far as was measured.

        A head trained alone beside a backbone that nobody froze also sends gradients to parameters without an
        optimizer; there the head learns.
        """
        for optimizer in trace.optimizers:
            held = [info.name for info in trace.parameters if info.optimizer == optimizer.index]
            missing = [trace.get(Statistic.GRAD_MISSING, name) for name in held]
            sizes = [trace.get(Statistic.GRAD_RMS, name) for name in held]
            seen = any(len(series) for series in (*missing, *sizes))
            trained = any((series.values == 0).any() for series in missing) or any(len(series) for series in sizes)
            if not held or not seen or not trained:
                return True
        return not trace.optimizers


RULE = LoopOrder()
