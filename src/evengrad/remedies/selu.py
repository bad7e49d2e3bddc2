"""SELU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._activate import SQUASHED, squashed_sites
from evengrad.remedies._base import AbstractRemedy


@dataclass(frozen=True)
class Selu(AbstractRemedy):
    """Replace the activation by SELU, which draws mean and variance of every layer towards 0 and 1.

    What it changes:
        The activation at the hidden sites at fault. Weights of variance 1 / fan_in belong to it (LeCun).

    Why it helps:
        With such weights, mean 0 and variance 1 are a stable fixed point of the forward pass, without normalisation
        layers, and its slope below zero keeps units alive.

    When not to:
        With He weights, which it blows up. In nets with skips or dropout the fixed point does not hold. AUTOTRAINER
        tries it first for every fault; where weights or the learning rate are at fault it leaves them in place.

    Source:
        Klambauer, Unterthiner, Mayr and Hochreiter, NeurIPS 2017.
    """

    act: ClassVar[Act] = Act.ACTIVATE
    risk: ClassVar[Risk] = Risk.ACTIVATION
    cures: ClassVar = frozenset()
    eases: ClassVar = SQUASHED
    place: ClassVar[int] = 28
    messages: ClassVar[Mapping[str, str]] = {
        "why": "draws mean and variance of every layer towards 0 and 1",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one swap of the sites at fault."""
        sites = squashed_sites(trace, finding)
        return (self.change(modules=sites, to="selu"),) if sites else ()

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Selu()
