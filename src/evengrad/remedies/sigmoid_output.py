"""A sigmoid in place of a softmax over one score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import key_of


@dataclass(frozen=True)
class SigmoidOutput(AbstractRemedy):
    """Turn one score into a probability by a sigmoid, not by a softmax.

    What it changes:
        The softmax behind a last layer with one output.

    Why it helps:
        A softmax over one score is 1 whatever the score: the prediction is constant and its gradient 0. A sigmoid is
        what a softmax over the score and 0 would be.

    When not to:
        Behind a last layer with several outputs: there a softmax says something, and a constant prediction has
        another cause.

    Source:
        Bishop 2006, section 4.2 (the two-class softmax is the logistic sigmoid of the difference).
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = faults("constant-output", CauseKind.OUTPUT_ACTIVATION)
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a softmax over the one output of `{layer}` is always 1; a sigmoid turns one score into a probability",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the swap, where the last layer has one output and a softmax module, or its call, follows."""
        if finding is not None and key_of(finding) != "cause-swallowed":
            return ()
        if not self._single(trace):
            return ()
        softmax = tuple(info.name for info in trace.modules if info.kind == "Softmax")
        if len(softmax) == 1:
            return (self.change(modules=softmax, to="sigmoid"),)
        return ()

    @staticmethod
    def _single(trace: Trace) -> bool:
        """Return whether the last layer has one output."""
        names = trace.layers[-1].parameters if trace.layers else ()
        weight = next((info for name in names if (info := trace.parameter(name)) and len(info.shape) >= 2), None)
        return weight is not None and weight.shape[0] == 1

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why", layer=trace.layers[-1].name)


REMEDY = SigmoidOutput()
