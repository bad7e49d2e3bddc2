"""What is known of the first value that was not finite: where it came from, and how the run took it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.core.event import Event, EventKind
from evengrad.core.info import SourceLine
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace

_SYMPTOMS = (EventKind.NON_FINITE_LOSS, EventKind.NON_FINITE_GRADIENT, EventKind.NON_FINITE_WEIGHT)


@dataclass(frozen=True)
class Origin:
    """The first operation that made something non-finite of finite operands, as far as it is known.

    ``phase`` is ``"forward"``, ``"backward"``, ``"update"``, ``"data"`` or "" (not located); ``operation`` is
    autograd's name of it, ``inputs`` the range of its operands; ``dtype`` the number format there, "" when unknown.
    ``inside``: some module called it; ``module`` is empty where that is the model itself.
    """

    step: int
    phase: str = ""
    operation: str = ""
    module: str = ""
    inputs: str = ""
    dtype: str = ""
    inside: bool = False
    certainty: str = ""
    parameters: tuple[str, ...] = ()
    source: SourceLine | None = None


@dataclass(frozen=True)
class Toll:
    """How often something was not finite, and whether the run survived it."""

    first_step: int
    last_step: int
    losses: int = 0
    gradients: int = 0
    weights_lost: bool = False
    ended: bool = False  # the last loss was not finite
    scaled: bool = False  # a GradScaler skipped every step whose gradient was not finite

    @property
    def survived(self) -> bool:
        """Whether training went on with finite weights and a finite loss."""
        return not (self.weights_lost or self.ended)


def toll(trace: Trace) -> Toll | None:
    """Return how often losses, gradients and weights were not finite; None when they always were finite."""
    events = trace.events_of(*_SYMPTOMS)
    losses = trace.get(Statistic.LOSS)
    bad = losses.steps[~np.isfinite(losses.values)].tolist()
    if not events and not bad:
        return None
    steps = [*bad, *(event.step for event in events)]
    ends = [*bad, *(max(event.step, event.last_step) for event in events)]
    gradients = [event for event in events if event.kind is EventKind.NON_FINITE_GRADIENT]
    last_loss_bad = bool(bad) and bad[-1] == int(losses.steps[-1])
    return Toll(
        first_step=min(steps),
        last_step=max(ends),
        losses=max(len(bad), _count(events, EventKind.NON_FINITE_LOSS)),
        gradients=_count(events, EventKind.NON_FINITE_GRADIENT),
        weights_lost=_weights_lost(trace),
        ended=last_loss_bad or (not losses.steps.size and max(ends) >= trace.steps - 1),
        scaled=bool(gradients) and sum(event.count for event in gradients) <= len(skipped_steps(trace)),
    )


def _weights_lost(trace: Trace) -> bool:
    """Return whether weights were seen that are not finite."""
    located = trace.events_of(EventKind.NON_FINITE)
    broken = any(event.details.get("phase") == "update" for event in located)
    return broken or bool(trace.events_of(EventKind.NON_FINITE_WEIGHT))


def _count(events: tuple[Event, ...], kind: EventKind) -> int:
    return sum(event.count for event in events if event.kind is kind)


def skipped_steps(trace: Trace) -> tuple[int, ...]:
    """Return the steps that a GradScaler skipped."""
    series = trace.get(Statistic.AMP_SKIPPED)
    steps = set(series.steps[series.values > 0].tolist())
    for event in trace.events_of(EventKind.STEP_SKIPPED):
        first, last = event.step, max(event.step, event.last_step)
        # An event that stands for fewer steps than its span tells only its ends; one that stands for more was counted
        # while the run's steps stood still.
        whole = range(first, max(last + 1, first + event.count))
        steps.update(whole if event.count >= last - first + 1 else (first, last))
    return tuple(sorted(steps))


def origin(trace: Trace, first_step: int) -> Origin:
    """Return the located origin; an ``Origin`` with an empty phase when none was located."""
    located = trace.events_of(EventKind.NON_FINITE)
    if not located:
        return Origin(first_step, parameters=_first_parameters(trace))
    event = located[0]
    details = event.details
    if details.get("phase") == "update" and not math.isfinite(_loss_at(trace, event.step)):
        # The loss of that step was lost already; what made it so left nothing behind that tells.
        return Origin(event.step, parameters=_names(details.get("parameters", "")))
    module = details.get("module", "")
    site = next((s for s in (*trace.layers, *trace.activations) if module and module in (s.name, s.module)), None)
    return Origin(
        step=event.step,
        phase=details.get("phase", ""),
        operation=details.get("operation", ""),
        module=module,
        inputs=details.get("inputs", ""),
        dtype=details.get("dtype", "") or (site.dtype if site else "") or _only_dtype(trace),
        inside=bool(module) or details.get("inside") == "True",
        certainty=details.get("certainty", ""),
        parameters=_names(details.get("parameters", "")) or _first_parameters(trace),
        source=event.source or (site.source if site else None),
    )


def _loss_at(trace: Trace, step: int) -> float:
    """Return the loss of a step; 0 where it was not seen."""
    seen = trace.get(Statistic.LOSS).between(step, step)
    return seen.first() if len(seen) else 0.0


def _first_parameters(trace: Trace) -> tuple[str, ...]:
    """Return the parameters whose gradients or values were the first not to be finite."""
    kinds = (EventKind.NON_FINITE_GRADIENT, EventKind.NON_FINITE_WEIGHT)
    return next((_names(event.details.get("parameters", "")) for event in trace.events_of(*kinds)), ())


def _names(joined: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in joined.split(",") if name.strip())


def _only_dtype(trace: Trace) -> str:
    """Return the number format of the parameters if all have the same, else ""."""
    formats = {info.dtype for info in trace.parameters}
    return formats.pop() if len(formats) == 1 else ""
