"""Data-dependent initialisation of the layers at fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._init import can_draw, scale_repairs, stuck_parameters, targets
from evengrad.remedies._structure import DEAD_FROM_BIRTH, WEIGHT_SCALE


@dataclass(frozen=True)
class DataDependentInit(AbstractRemedy):
    """Scale and shift each layer so that every unit puts out mean 0 and variance 1 on a real batch.

    What it changes:
        The weights of linear layers and convolutions before the first step, each unit's by a factor of its own, and
        their biases. The directions of the weights stay as the script drew them. It needs the first batch.

    Why it helps:
        Units start in the middle of their activation's range, one by one: no unit is dead, saturated or idle on the
        data that the run sees, and no layer is larger than its neighbour.

    When not to:
        Where a formula for the scale exists (He, Xavier) it needs no data and says the same. Normalised nets do this
        at every step. A layer whose weights are zero has no direction to be kept.

    Settings:
        tolerance: distance from variance 1 that is left, "1". Own choice: 0.1, as for LSUV.

    Source:
        Krähenbühl, Doersch, Donahue and Darrell, ICLR 2016, section 3.1; Salimans and Kingma, NeurIPS 2016, section
        3.
    """

    tolerance: float = 0.1

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = frozenset()
    eases: ClassVar = WEIGHT_SCALE | DEAD_FROM_BIRTH
    place: ClassVar[int] = 30
    messages: ClassVar[Mapping[str, str]] = {
        "why": "starts every unit in the middle of its activation's range, on a real batch",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one scaling of the layers at fault."""
        if not can_draw(trace) or stuck_parameters(trace, finding) or not scale_repairs(trace, finding):
            return ()
        if finding is not None and finding.message_key.endswith((".zero", ".identical")):
            return ()  # what is scaled has to differ to begin with
        return (self.change(modules=targets(trace, finding), method="data-dependent", tolerance=self.tolerance),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = DataDependentInit()
