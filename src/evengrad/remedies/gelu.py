"""GELU."""

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
class Gelu(AbstractRemedy):
    """Replace the activation by GELU, a smooth rectifier.

    What it changes:
        The activation at the hidden sites at fault.

    Why it helps:
        Like ReLU it passes the gradient of active units; it is smooth and leaves a little slope below zero, so that
        no unit is cut off at once.

    When not to:
        Deep plain stacks: under He it loses signal (16 layers under Xavier lost 8.7 decades of it), so that a
        critical or LSUV initialisation belongs to it. Its home is between normalisation layers.

    Source:
        Hendrycks and Gimpel 2016; theory page, criticality.
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = frozenset()
    eases: ClassVar = SQUASHED | DIED_IN_TRAINING
    place: ClassVar[int] = 26
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a smooth rectifier: passes active units, and leaves a little slope below zero",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        died = finding is not None and finding.rule == "dead-units"
        sites = rectified_sites(trace) if died else squashed_sites(trace, finding)
        return (self.change(modules=sites, to="gelu"),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Gelu()
