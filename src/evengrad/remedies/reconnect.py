"""The way from the loss to the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import key_of
from evengrad.rules._depth import shown


@dataclass(frozen=True)
class Reconnect(AbstractRemedy):
    """Let the gradient, or the optimizer, reach the parameters again.

    What it changes:
        What cuts them off: a detach() or no_grad on the path, an optimizer that was given the parameters of another
        object, a list of modules that the model does not know of.

    Why it helps:
        A parameter without gradient, or without optimizer, stays as it was initialised.

    When not to:
        Where the cut is meant: a frozen backbone, a target network, a teacher. Say so by requires_grad_(False), and
        it is not reported.

    Source:
        PyTorch documentation, autograd mechanics; own measurement on cases with each of these cuts.
    """

    act: ClassVar[Act] = Act.RECONNECT
    risk: ClassVar[Risk] = Risk.LOOP
    cures: ClassVar = faults("no-gradient loop-order constant-output", CauseKind.DISCONNECTED)
    place: ClassVar[int] = 1
    messages: ClassVar[Mapping[str, str]] = {
        "why": "no path leads from the loss to {modules}: lets the gradient reach them again",
        "why-missing": "{parameters} is in no optimizer: gives it to the one that holds the others",
        "why-foreign": "gives the optimizer the parameters that get the gradients",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the repair of what cuts parameters off."""
        foreign = trace.events_of(EventKind.FOREIGN_PARAMETERS)
        if foreign and (finding is None or key_of(finding) == "cause-foreign"):
            lines = (foreign[0].source,) if foreign[0].source is not None else ()
            return (self.change(lines=lines, fault="foreign"),)
        if finding is None:
            return self._untouched(trace)
        if key_of(finding) == "cause-zero":
            return (self.change(parameters=finding.parameters, fault="missing"),)
        if finding.rule == "loop-order":
            return ()
        return (self.change(modules=finding.modules, parameters=finding.parameters, fault="auto"),)

    def _untouched(self, trace: Trace) -> tuple[Change, ...]:
        """Return the repair for parameters that never get a gradient, if there are any."""
        missing = tuple(
            info.name
            for info in trace.parameters
            if info.optimizer >= 0
            and info.requires_grad
            and trace.get(Statistic.GRAD_MISSING, info.name).median() == 1.0
        )
        return (self.change(parameters=missing, fault="auto"),) if missing else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        if change.word("fault") == "foreign":
            return self.say("why-foreign")
        if change.word("fault") == "missing":
            return self.say("why-missing", parameters=shown(change.parameters))
        return self.say("why", modules=shown(change.modules or change.parameters))


REMEDY = Reconnect()
