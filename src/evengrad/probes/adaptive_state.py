"""Whether an adaptive optimizer still divides by the gradient's size, or only by its epsilon."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractStepProbe, Reading, StepView
from evengrad.probes._sizes import number, thinned

_SAMPLE = 1 << 14  # entries of one estimate that are looked at: whole rows, evenly spaced


class AdaptiveState(AbstractStepProbe):
    """Reads the second-moment estimate of Adam-like optimizers after a step.

    The share of epsilon is the mean of eps/(sqrt(v_hat) + eps) over entries that have ever had a gradient.

    Source:
        Wortsman et al., 2023, section on epsilon; own choice of the statistic.
    """

    def before(self, step: StepView) -> Iterator[Reading]:
        """Yield nothing: the state is read after the step."""
        yield from ()

    def after(self, step: StepView) -> Iterator[Reading]:
        """Yield EPS_SHARE of each parameter that has a second-moment estimate."""
        for name, parameter in step.parameters.items():
            state = step.optimizer.state.get(parameter, {})
            second = state.get("exp_avg_sq", state.get("square_avg"))
            epsilon = step.groups[name].get("eps")
            if not isinstance(second, torch.Tensor) or not isinstance(epsilon, float) or epsilon <= 0:
                continue
            moment = (
                thinned(second, _SAMPLE).double() if second.device.type != "mps" else thinned(second, _SAMPLE).float()
            )
            betas = step.groups[name].get("betas")
            if "exp_avg_sq" in state and isinstance(betas, tuple) and "step" in state:
                moment = moment / (1 - float(betas[1]) ** float(state["step"]))
            live = moment > 0
            share = torch.where(live, epsilon / (moment.sqrt() + epsilon), torch.zeros_like(moment))
            # No live entry: 0/0, a nan that the store drops.
            yield Reading(Statistic.EPS_SHARE, name, number(share.sum() / live.sum()))


PROBE = AdaptiveState()
