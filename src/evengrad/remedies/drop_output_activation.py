"""No activation on the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.rules._neighbours import is_output


@dataclass(frozen=True)
class DropOutputActivation(AbstractRemedy):
    """Hand the last layer's output to the loss as it is.

    What it changes:
        The activation between the last layer and the loss is removed.

    Why it helps:
        A ReLU answers no negative target and dies there; a sigmoid reaches no target beyond 0 to 1 and saturates on
        the way. A linear output reaches every value, and its gradient passes unchanged. A softmax before a loss that
        applies its own flattens the prediction: log-probabilities of numbers between 0 and 1 differ by 1 at most.

    When not to:
        Where the loss needs a probability (binary cross-entropy without logits, likelihoods): there the loss has to
        change with it.

    Source:
        Bishop 2006, section 5.2 (canonical pairs of output and loss). Own measurement on cases with a ReLU and a
        sigmoid on the output of a regression.
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = faults("constant-output saturated-activation dead-units", CauseKind.OUTPUT_ACTIVATION)
    eases: ClassVar = faults("target-scale", CauseKind.TARGET_SCALE) | faults("dead-units", CauseKind.DEAD_UNITS)
    place: ClassVar[int] = 4
    messages: ClassVar[Mapping[str, str]] = {
        "why": "{operation} at `{site}` stands between the last layer and the loss, and cannot reach the targets",
        "why-twice": "the loss applies it to the output by itself: {operation} at `{site}` is one too many",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the removal of the output's activation, if it has one."""
        site, line = self._site(trace)
        if not site and line is None:
            return ()
        return (self.change(modules=(site,) if site else (), lines=(line,) if line else (), to="identity"),)

    @staticmethod
    def _site(trace: Trace) -> tuple[str, SourceLine | None]:
        """Return name and line of the output's activation: what a loss applies again, else the last site."""
        twice = next(iter(trace.events_of(EventKind.SQUASHED_TWICE)), None)
        if twice is not None:
            return twice.details.get("site", "") or twice.details.get("module", ""), twice.source
        last = trace.activations[-1] if trace.activations else None
        return (last.name, last.source) if last is not None and is_output(trace, last) else ("", None)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        twice = next(iter(trace.events_of(EventKind.SQUASHED_TWICE)), None)
        name = change.modules[0] if change.modules else "forward"
        if twice is not None:
            return self.say("why-twice", operation=twice.details["operation"], site=name)
        site = trace.site(name)
        return self.say("why", operation=site.operation if site else "", site=name)


REMEDY = DropOutputActivation()
