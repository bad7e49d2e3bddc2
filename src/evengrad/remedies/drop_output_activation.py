"""No activation on the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.info import SiteInfo
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
        the way. A linear output reaches every value, and its gradient passes unchanged.

    When not to:
        Where the loss needs a probability (binary cross-entropy without logits, likelihoods): there the loss has to
        change with it. A softmax over several classes in front of cross-entropy belongs to another fault: it is
        flattened, not cut off.

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
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the removal of the output's activation, if it has one."""
        site = self._site(trace)
        if site is None:
            return ()
        lines = (site.source,) if site.source is not None else ()
        return (self.change(modules=(site.name,), lines=lines, to="identity"),)

    @staticmethod
    def _site(trace: Trace) -> SiteInfo | None:
        last = trace.activations[-1] if trace.activations else None
        return last if last is not None and is_output(trace, last) else None

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        site = trace.site(change.modules[0])
        return self.say("why", operation=site.operation if site else "", site=change.modules[0])


REMEDY = DropOutputActivation()
