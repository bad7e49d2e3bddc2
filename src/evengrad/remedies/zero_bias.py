"""Biases back to zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._init import feeding, heavy_biases
from evengrad.remedies._structure import DEAD_FROM_BIRTH
from evengrad.rules._words import number


@dataclass(frozen=True)
class ZeroBias(AbstractRemedy):
    """Start the biases of dead layers at zero; their weights stay as they are.

    What it changes:
        The biases of the layers that feed dead units, before the first step.

    Why it helps:
        A bias of -6 in front of a ReLU keeps a unit silent whatever it sees, and a silent unit gets no gradient that
        could lift the bias again. At zero about half of the data passes.

    When not to:
        Units that were alive at first and died in training were killed by a step that was too long: they would die
        again. A forget gate's bias is large on purpose.

    Source:
        Lu, Shin, Su and Karniadakis 2020 (dying ReLU and initialisation). Own measurement: of twelve remedies for
        biases of -4, those that drew the layer anew or normalised in front of the activation repaired it, a leaky
        ReLU did not.
    """

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = DEAD_FROM_BIRTH
    place: ClassVar[int] = 5
    messages: ClassVar[Mapping[str, str]] = {
        "why": "biases of size {size} keep the units of {modules} silent whatever they see; at 0 half of the "
        "data passes",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one change for all biases that keep units silent, where one of them feeds the dead ones."""
        heavy = heavy_biases(trace)
        if finding is not None and not set(heavy) & set(feeding(trace, finding)):
            return ()
        return (self.change(modules=heavy, method="bias", bias=0.0),) if heavy else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the size of the biases."""
        size = max(
            trace.get(Statistic.WEIGHT_RMS, info.name).first()
            for info in trace.parameters
            if info.module in change.modules and len(info.shape) == 1
        )
        return self.say("why", size=number(size), modules=", ".join(change.modules))


REMEDY = ZeroBias()
