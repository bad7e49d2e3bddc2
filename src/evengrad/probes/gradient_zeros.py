"""How much of a parameter's gradient has flushed to zero."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractStepProbe, Reading, StepView
from evengrad.probes._sizes import HALF, number, thinned

_SAMPLE = 1 << 14  # entries of one gradient that are looked at: whole rows, evenly spaced


class GradientZeros(AbstractStepProbe):
    """Counts entries of a gradient that are 0; in half precision also those below the smallest normal number."""

    def before(self, step: StepView) -> Iterator[Reading]:
        """Yield GRAD_ZERO_SHARE of each parameter that has a gradient."""
        for name, parameter in step.parameters.items():
            gradient = parameter.grad
            if gradient is None or gradient.numel() == 0:
                continue
            kept = thinned(gradient, _SAMPLE)
            half = kept.dtype in HALF
            bound = torch.finfo(kept.dtype).tiny if half else 0.0
            yield Reading(Statistic.GRAD_ZERO_SHARE, name, number((kept.abs() <= bound).float().mean()))

    def after(self, step: StepView) -> Iterator[Reading]:
        """Yield nothing: the gradient is read before the step."""
        yield from ()


PROBE = GradientZeros()
