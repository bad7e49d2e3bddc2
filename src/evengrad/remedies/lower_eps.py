"""A smaller epsilon in the optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import group_number, optimizer, optimizer_lines, power_of_ten
from evengrad.rules._words import number


@dataclass(frozen=True)
class LowerEps(AbstractRemedy):
    """Lower the optimizer's eps to far below the size of the gradient.

    What it changes:
        The eps that Adam and RMSprop add to the root of the second moment.

    Why it helps:
        Such an optimizer is blind to the unit of the loss only as long as sqrt(v) is larger than eps. Below it, its
        steps are the gradient's, divided by eps: of a gradient of 1e-11 and an eps of 1e-8, a thousandth of the
        learning rate.

    When not to:
        Where only the first layers have such gradients, they vanish across depth, and there is hardly a signal left
        to scale up. In half-precision weights, where such an eps is 0 and the step divides by it.

    Settings:
        share: of the smallest typical gradient, "1", that eps is lowered to. Own choice: .01, its share of the
            denominator.
        least: smallest eps, "W". Own choice: 1e-18; the root of float32's smallest normal number is 1e-19.

    Source:
        Kingma and Ba, ICLR 2015, section 2; Wortsman et al. 2023, section 3.4. Theory page, criteria (eps share).
    """

    share: float = 0.01
    least: float = 1e-18

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("update-too-small precision-loss", CauseKind.OPTIMIZER_EPSILON)
    place: ClassVar[int] = 5
    messages: ClassVar[Mapping[str, str]] = {
        "why": "gradients have size {size}: at eps {eps} they, not eps {before}, decide the step",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the eps that the gradients ask for; none where it is small enough, or weights are half precision."""
        info = optimizer(trace, finding)
        before, size = group_number(info, "eps"), self._gradient(trace)
        wanted = max(power_of_ten(self.share * size), self.least) if size > 0 else math.nan
        if not wanted < before or any(p.dtype == "float16" for p in trace.parameters):
            return ()
        return (self.change(lines=optimizer_lines(info), eps=wanted),)

    @staticmethod
    def _gradient(trace: Trace) -> float:
        """Return the lower quartile, over weight tensors, of the typical size of a gradient; nan when unknown."""
        sizes = [trace.get(Statistic.GRAD_RMS, name).median() for name in trace.subjects(Statistic.GRAD_RMS)]
        known = [size for size in sizes if math.isfinite(size) and size > 0]
        return float(np.quantile(known, 0.25)) if known else math.nan

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the size of the gradients."""
        before = group_number(optimizer(trace), "eps")
        return self.say(
            "why", size=number(self._gradient(trace)), eps=number(change.number("eps")), before=number(before)
        )


REMEDY = LowerEps()
