"""A higher bound for clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._clip import bound, cost, healthy_norms
from evengrad.remedies._facts import optimizer, optimizer_lines
from evengrad.rules._words import number, percent


@dataclass(frozen=True)
class RaiseClip(AbstractRemedy):
    """Raise max_norm to above the usual norm of the gradient, so that only rare steps are clipped.

    What it changes:
        The bound of the clipping that is there.

    Why it helps:
        A bound below the usual norm acts on every step: it divides the learning rate by their ratio, and by another
        ratio as soon as the gradients change.

    When not to:
        Where the bound holds an explosion in time together: its norms are large because they grow. Where the rate was
        chosen together with the bound, the rate has to come down by as much.

    Settings:
        quantile: of the norms, "1", that the bound rests on. Own choice: .95, so that one step in twenty or fewer is
            clipped.
        margin: factor on it, "1". Own choice: 1.5, as for clipping by norm.
        hold: ratio of the norms' .95 and .5 quantiles, "1", above which clipping holds spikes together. Own choice:
            100.

    Source:
        Pascanu et al., ICML 2013, section 3.2 (a bound from the average norm of the first updates); theory page,
        remedies.
    """

    quantile: float = 0.95
    margin: float = 1.5
    hold: float = 100.0

    act: ClassVar[Act] = Act.CLIP
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("clipping-saturated", CauseKind.LEARNING_RATE_LOW)
    place: ClassVar[int] = 4
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a bound of {before} lies below the usual norm {norm}; at {bound} clipping acts on {rate} of the steps "
        "and leaves {cut} of the learning rate",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one bound above the run's usual norms; none where nothing clips, or where norms run away."""
        norms = healthy_norms(trace, None)
        before, threshold = trace.get(Statistic.CLIP_MAX_NORM).median(), bound(norms, self.quantile, self.margin)
        if not before > 0 or not threshold > before or bound(norms, 0.5, self.hold) < threshold / self.margin:
            return ()
        lines = optimizer_lines(optimizer(trace, finding))
        return (self.change(lines=lines, kind="norm", threshold=threshold),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with what the new bound does to this run's gradients."""
        threshold = change.number("threshold")
        price = cost(trace, threshold)
        return self.say(
            "why",
            before=number(trace.get(Statistic.CLIP_MAX_NORM).median()),
            norm=number(trace.get(Statistic.GRAD_NORM).median()),
            bound=number(threshold),
            rate=percent(price.rate) if math.isfinite(price.rate) else "?",
            cut=percent(price.cut) if math.isfinite(price.cut) else "?",
        )


REMEDY = RaiseClip()
