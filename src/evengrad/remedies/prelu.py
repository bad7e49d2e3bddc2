"""Parametric ReLU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._activate import DIED_IN_TRAINING, SQUASHED, rectified_sites, squashed_sites
from evengrad.remedies._base import AbstractRemedy


@dataclass(frozen=True)
class Prelu(AbstractRemedy):
    """Give rectifiers a slope below zero that is learned with the weights.

    What it changes:
        The activation at the hidden sites at fault; one parameter per site is added, and learned.

    Why it helps:
        Like a leaky ReLU it keeps units alive; how much each layer lets through is found by training.

    When not to:
        With weight decay on the slope, which draws it to 0, a plain ReLU. On few data: it adds freedom. It does not
        revive units that a bias keeps far below zero.

    Settings:
        slope: that it starts from, "1". He et al. 2015: 0.25.

    Source:
        He, Zhang, Ren and Sun, ICCV 2015, section 2.1.
    """

    slope: float = 0.25

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = frozenset()
    eases: ClassVar = SQUASHED | DIED_IN_TRAINING
    place: ClassVar[int] = 24
    messages: ClassVar[Mapping[str, str]] = {
        "why": "learns how much of the gradient passes below zero, where ReLU passes none",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        died = finding is not None and finding.rule == "dead-units"
        sites = rectified_sites(trace) if died else squashed_sites(trace, finding)
        return (self.change(modules=sites, to="prelu", slope=self.slope),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Prelu()
