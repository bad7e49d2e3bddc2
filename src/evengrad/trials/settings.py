"""What the user may choose, and what the search asks of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evengrad.core.finding import Diagnosis
from evengrad.core.plan import Plan

Prescriber = Callable[[Diagnosis], Sequence[Plan]]
"""Returns the plans that a diagnosis suggests, the likeliest first."""


@dataclass(frozen=True)
class Settings:
    """Limits and thresholds of a fix; all own choices.

    Attributes:
        steps: Optimizer steps that no run goes beyond; None: as many as the diagnosis needs.
        first_look: Step at which the diagnosing run is looked at first; then at twice as many, and so on.
        sure: Looks in a row that have to find a fault that ends training.
        surer: Looks in a row that have to find one that wastes training: it may still come right.
        batch: How many candidates are tried side by side before the next ones are.
        seeds: Fresh seeds that a proof begins with.
        more_seeds: Further ones when those leave it open.
        confidence: Of each of the two looks at the proof; together they err at most 1 time in 20.
        endurance: A proven change goes on for this many times the steps of the trials, and must not relapse.
        depth: Repairs on top of each other, each prescribed from a new diagnosis.
        extensions: How often the trials may be made twice as long when nothing works.
        controls: Random plans that are tried beside the candidates.
        rung: Share of the steps after which hopeless candidates are dropped.
        least_rung: Steps below which nobody is.
    """

    steps: int | None = None
    first_look: int = 100
    sure: int = 2
    surer: int = 3
    batch: int = 4
    seeds: int = 3
    more_seeds: int = 2
    confidence: float = 0.975
    endurance: int = 8
    depth: int = 3
    extensions: int = 1
    controls: int = 0
    rung: float = 0.25
    least_rung: int = 20
