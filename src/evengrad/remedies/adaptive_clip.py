"""Adaptive gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.remedies._structure import GROWTH_IN_TIME, SPIKES
from evengrad.rules._words import number


@dataclass(frozen=True)
class AdaptiveClip(AbstractRemedy):
    """Bound each unit's gradient by a share of the size of its own weights.

    What it changes:
        The gradient between backward and step: a unit whose |g| exceeds c * max(|W|, 1e-3) is scaled down to that.
        The last layer and vectors are left out.

    Why it helps:
        The bound needs no unit and no history: what matters is how far a step changes a weight. One layer with a
        spike is held back while the others learn on. It stands in for normalisation in large batches.

    When not to:
        Weights that begin at zero (adapters, ReZero) never get away from it. On a healthy residual net it cost fifty
        times the loss. Against explosion across depth and NaN, as clipping by norm.

    Settings:
        ratio: largest |g| / |W| of a unit, "1". Brock et al. 2021: .01 for large batches; .16 and .02 in their
            ablation.

    Source:
        Brock, De, Smith and Simonyan, ICML 2021, equation 3. Own measurement: it repaired an explosion in time
        (0.030) and data a hundred times too large (0.01), and nothing else of eight faults.
    """

    ratio: float = 0.01

    act: ClassVar[Act] = Act.CLIP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = GROWTH_IN_TIME | SPIKES | faults("input-scale", CauseKind.INPUT_SCALE)
    place: ClassVar[int] = 20
    messages: ClassVar[Mapping[str, str]] = {
        "why": "bounds each unit's gradient by {ratio} of the size of its weights, whatever the unit of the loss",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one bound."""
        lines = optimizer_lines(optimizer(trace, finding))
        return (self.change(lines=lines, kind="adaptive", threshold=self.ratio),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why", ratio=number(change.number("threshold")))


REMEDY = AdaptiveClip()
