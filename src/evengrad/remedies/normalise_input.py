"""Standardised inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.info import SiteInfo
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import rounded
from evengrad.rules._words import number


@dataclass(frozen=True)
class NormaliseInput(AbstractRemedy):
    """Subtract the data's mean and divide by its standard deviation before it enters the network.

    What it changes:
        The unit of the inputs, in training and evaluation alike: by one pair of numbers, or column by column where
        the columns are of different sizes.

    Why it helps:
        Every initialisation, learning rate and activation is made for inputs of size 1. Data of size 500 saturate the
        first layer and make its gradients 500 times too large; data of size 1e-5 leave the biases alone with the
        task.

    When not to:
        Where the first layer is an embedding or a normalisation, which take care of it. Where zeros are meant (sparse
        counts, padding), divide only. Against weights of a wrong size it does nothing.

    Settings:
        uneven: largest over median feature rms, "1", from which each column gets numbers of its own. Own choice: 10.
        alike: distance from mean 0 and standard deviation 1 that is left alone, "1". Own choice: 0.2.

    Source:
        LeCun, Bottou, Orr and Müller 1998, section 4.3. Own measurement: data a hundred times too large went from NaN
        to a loss of 0.00 by it.
    """

    uneven: float = 10.0
    alike: float = 0.2

    act: ClassVar[Act] = Act.SCALE
    risk: ClassVar[Risk] = Risk.DATA
    cures: ClassVar = faults(
        "input-scale saturated-activation vanishing-gradient exploding-gradient non-finite dead-units constant-output "
        "bad-initialisation",
        CauseKind.INPUT_SCALE,
    )
    place: ClassVar[int] = 2
    messages: ClassVar[Mapping[str, str]] = {
        "why": "brings data of mean {mean} and standard deviation {std} to mean 0 and 1",
        "why-column": "brings every column to mean 0 and standard deviation 1: now one is {times} times as large as "
        "the usual one",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the measured numbers; column by column where columns differ, each way once."""
        site = self._first(trace)
        mean, std = self._moments(trace, site)
        if not std > 0 or (abs(mean) <= self.alike and abs(std - 1) <= self.alike):
            return ()
        whole = self.change(what="input", mean=rounded(mean, 3), std=rounded(std, 3))
        return (self.change(what="input", per="column"),) if self._uneven(trace) else (whole,)

    def _first(self, trace: Trace) -> str:
        """Return the layer that the data enter."""
        depths = [(trace.get(Statistic.DEPTH, s.name).first(), i, s) for i, s in enumerate(trace.layers)]
        known: list[tuple[float, int, SiteInfo]] = [item for item in depths if math.isfinite(item[0])]
        if known:
            return min(known, key=lambda item: item[:2])[2].name
        return trace.layers[0].name if trace.layers else ""

    def _moments(self, trace: Trace, site: str) -> tuple[float, float]:
        """Return mean and standard deviation of the data, (nan, nan) where they were not measured."""
        rms, mean = trace.get(Statistic.INPUT_RMS, site).median(), trace.get(Statistic.INPUT_MEAN, site).median()
        if not (math.isfinite(rms) and math.isfinite(mean)):
            return math.nan, math.nan
        return mean, math.sqrt(max(rms**2 - mean**2, 0.0))

    def _uneven(self, trace: Trace) -> bool:
        return trace.get(Statistic.FEATURE_SPREAD, self._first(trace)).median() > self.uneven

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the data's size."""
        if change.word("per") == "column":
            spread = trace.get(Statistic.FEATURE_SPREAD, self._first(trace)).median()
            return self.say("why-column", times=number(rounded(spread)))
        return self.say("why", mean=number(change.number("mean")), std=number(change.number("std")))


REMEDY = NormaliseInput()
