"""Leaky ReLU."""

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
class LeakyRelu(AbstractRemedy):
    """Give rectifiers a small slope below zero, or put such a rectifier in the place of sigmoid.

    What it changes:
        The activation at the hidden sites at fault.

    Why it helps:
        A unit below zero keeps a small gradient and can come back. It prevents units from dying.

    When not to:
        It does not revive units that a bias keeps far below zero: their gradient is a hundredth of what the others
        get. Nor does it repair weights of a wrong size; tanh nets at gain 3 exploded under it.

    Settings:
        slope: below zero, "1". Maas et al. 2013: .01; Xu et al. 2015 found larger ones (1/5.5) better; own choice:
            0.1.

    Source:
        Maas, Hannun and Ng, ICML workshop 2013; Xu, Wang, Chen and Li 2015. Own measurement: biases of -4 stayed dead
        under it (loss 2.33), ten sigmoid layers were repaired (0.11).
    """

    slope: float = 0.1

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = frozenset()
    eases: ClassVar = SQUASHED | DIED_IN_TRAINING
    place: ClassVar[int] = 20
    messages: ClassVar[Mapping[str, str]] = {
        "why": "keeps a small gradient where ReLU has none; prevents, does not revive",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        died = finding is not None and finding.rule == "dead-units"
        sites = rectified_sites(trace) if died else squashed_sites(trace, finding)
        return (self.change(modules=sites, to="leaky-relu", slope=self.slope),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = LeakyRelu()
