"""What an optimizer step really changes: the update ratio, and the part of the update that survived rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractStepProbe, Reading, StepView
from evengrad.probes._sizes import HALF, norm, number, plain, rms, thinned

_SAMPLE = 1 << 14  # entries of one parameter that are compared: whole rows, evenly spaced


class Updates(AbstractStepProbe):
    """Compares parameters (a sample of each large one) before and after one step.

    The update ratio is rms(ΔW)/rms(W). The realised fraction is <ΔW, u>/|u|^2 for the update u that the optimizer
    computed in float32: 1 when nothing is lost, 0 when rounding to the weights' format swallows all of it.

    Source:
        Own choice of the realised fraction; see the project's theory page, low precision.
    """

    def before(self, step: StepView) -> Iterator[Reading]:
        """Keep a sample of the parameters; yield WEIGHT_RMS."""
        for name, parameter in step.parameters.items():
            if parameter.grad is not None:
                step.kept[name] = thinned(parameter, _SAMPLE).clone()
                yield Reading(Statistic.WEIGHT_RMS, name, rms(step.kept[name]))

    def after(self, step: StepView) -> Iterator[Reading]:
        """Yield UPDATE_RATIO, and REALISED_FRACTION of half-precision parameters."""
        for name, old in step.kept.items():
            now = thinned(step.parameters[name], _SAMPLE)
            difference = now.to(torch.promote_types(old.dtype, torch.float32)) - old
            weight, update = norm(old), norm(difference)
            if isinstance(weight, Tensor) or weight > 0:
                yield Reading(Statistic.UPDATE_RATIO, name, update / weight)
            if old.dtype in HALF:
                yield from _realised(step, name, difference)


def _realised(step: StepView, name: str, difference: Tensor) -> Iterator[Reading]:
    """Yield the realised fraction of one parameter's update, where the intended update is known."""
    intended = intended_update(step.optimizer, step.parameters[name], step.groups[name])
    if intended is None:
        return
    intended = thinned(intended, _SAMPLE)
    square = intended.square().sum()
    yield Reading(Statistic.REALISED_FRACTION, name, number((difference * intended).sum() / square))


def intended_update(optimizer: Optimizer, parameter: Tensor, group: Mapping[str, object]) -> Tensor | None:
    """Return the update an optimizer meant to make in its last step, in float32, without weight decay.

    Known for SGD, Adam and AdamW; None for others, and before there is any state.

    Source:
        Kingma and Ba, ICLR 2015, algorithm 1; PyTorch's documentation of SGD.
    """
    kind = type(optimizer).__name__
    state = optimizer.state.get(parameter, {})
    rate = float(group.get("lr", 0.0))  # type: ignore[arg-type]
    if kind == "SGD":
        direction = state.get("momentum_buffer")
        direction = parameter.grad if direction is None else direction
        return None if direction is None or group.get("nesterov") else -rate * plain(direction).float()
    if kind not in ("Adam", "AdamW") or "exp_avg" not in state or group.get("amsgrad"):
        return None
    first, second = group["betas"]  # type: ignore[misc]
    count = float(state["step"])
    mean = plain(state["exp_avg"]).float() / (1 - first**count)  # type: ignore[has-type]
    variance = plain(state["exp_avg_sq"]).float() / (1 - second**count)  # type: ignore[has-type]
    update: Tensor = -rate * mean / (variance.sqrt() + float(group["eps"]))  # type: ignore[arg-type]
    return update


PROBE = Updates()
