"""SiLU."""

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
class Silu(AbstractRemedy):
    """Replace the activation by SiLU, x times its sigmoid.

    What it changes:
        The activation at the hidden sites at fault.

    Why it helps:
        Close to a rectifier for large values and smooth throughout, with slope on both sides of zero.

    When not to:
        Deep plain stacks: like GELU it loses signal under He, and a critical or LSUV initialisation belongs to it.

    Source:
        Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017; theory page, criticality.
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = frozenset()
    eases: ClassVar = SQUASHED | DIED_IN_TRAINING
    place: ClassVar[int] = 27
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a smooth rectifier with slope on both sides of zero",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        died = finding is not None and finding.rule == "dead-units"
        sites = rectified_sites(trace) if died else squashed_sites(trace, finding)
        return (self.change(modules=sites, to="silu"),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Silu()
