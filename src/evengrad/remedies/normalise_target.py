"""Standardised targets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import rounded
from evengrad.rules._words import number


@dataclass(frozen=True)
class NormaliseTarget(AbstractRemedy):
    """Subtract the targets' mean and divide by their standard deviation before they enter the loss.

    What it changes:
        The unit of targets, predictions and loss; a prediction has to be turned back where it is used.

    Why it helps:
        A network starts with predictions of size 1. Targets round 20,000 ask the last bias to travel that far first,
        one learning rate a step, and squared errors of 1e8 throw the weights away on the way.

    When not to:
        Probabilities, classes and counts, whose loss knows their unit. Where a bad batch alone is out of range.

    Settings:
        alike: distance from mean 0 and standard deviation 1 that is left alone, "1". Own choice: 0.5.
        centred: mean over standard deviation, "1", below which it is taken for 0. Own choice: 0.3.
        grey: largest value of 8-bit grey levels, "x", taken as the unit of targets that are to be probabilities and
            have a tenth of that size or more.
        spare: unit of other such targets over their rms, "1". Own choice: 2; the largest of uniform ones is 1.7 rms.

    Source:
        LeCun, Bottou, Orr and Müller 1998, section 4.5; own measurement on regressions with targets in thousands.
    """

    alike: float = 0.5
    centred: float = 0.3
    grey: float = 255.0
    spare: float = 2.0

    act: ClassVar[Act] = Act.SCALE
    risk: ClassVar[Risk] = Risk.DATA
    cures: ClassVar = faults(
        "target-scale gradient-spike constant-output saturated-activation exploding-gradient non-finite",
        CauseKind.TARGET_SCALE,
    )
    eases: ClassVar = faults("saturated-activation constant-output", CauseKind.OUTPUT_ACTIVATION)
    place: ClassVar[int] = 4
    messages: ClassVar[Mapping[str, str]] = {
        "why": "brings targets of mean {mean} and standard deviation {std} to mean 0 and 1, and the loss with them",
        "why-probability": "divided by {std}, targets lie between 0 and 1, as this loss needs them",
        "why-column": "brings targets of size {size} and standard deviation {std} to mean 0 and 1, and the loss with "
        "them",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the measured numbers; by the data's own mean as well where that lies far from zero.

        The trace holds the size of the targets, not the sign of their mean.
        """
        probability = trace.get(Statistic.BINARY_TARGET_RMS).median()
        if math.isfinite(probability):
            return self._into_one(probability)
        size, std = self._size(trace)
        offset = math.sqrt(max(size**2 - std**2, 0.0)) if std > 0 else math.nan
        if not std > 0 or (abs(std - 1) <= self.alike and offset <= self.alike):
            return ()
        if offset < self.centred * std:
            return (self.change(what="target", mean=0.0, std=rounded(std, 3)),)
        return (
            self.change(what="target", mean=rounded(offset, 3), std=rounded(std, 3)),
            self.change(what="target", per="column"),
        )

    def _into_one(self, size: float) -> tuple[Change, ...]:
        """Return a unit in which targets of a size are probabilities; none for those that are."""
        if size <= 1:
            return ()
        unit = self.grey if self.grey / 10 <= size <= self.grey else rounded(self.spare * size)
        return (self.change(what="target", mean=0.0, std=unit),)

    @staticmethod
    def _size(trace: Trace) -> tuple[float, float]:
        """Return rms and standard deviation of the targets; nan where they were not measured."""
        return trace.get(Statistic.TARGET_RMS).median(), trace.get(Statistic.TARGET_SPREAD).median()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the targets' size."""
        size, std = self._size(trace)
        if math.isfinite(trace.get(Statistic.BINARY_TARGET_RMS).median()):
            return self.say("why-probability", std=number(change.number("std")))
        if change.word("per") == "column":
            return self.say("why-column", size=number(rounded(size)), std=number(rounded(std)))
        return self.say("why", mean=number(change.number("mean")), std=number(change.number("std")))


REMEDY = NormaliseTarget()
