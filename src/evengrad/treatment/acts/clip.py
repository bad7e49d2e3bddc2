"""Bound the gradient before each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._steps import before_step
from evengrad.treatment.live import LiveRun, Undo

_SMALLEST_WEIGHT_NORM, _SMALLEST_NORM = 1e-3, 1e-6


@dataclass(frozen=True)
class Clip(AbstractAct):
    """Clips by ``norm``, by ``value``, or ``adaptive``: each unit's gradient by the norm of its weights.

    Source:
        Pascanu, Mikolov and Bengio, ICML 2013, algorithm 1 (norm); Brock et al., ICML 2021, equation 3 (adaptive; the
        last layer and vectors are left out).
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Clip before each step of the optimizer."""
        optimizer = run.required_optimizer("clipping")
        kind, threshold = change.word("kind", "norm"), change.number("threshold")
        if not math.isfinite(threshold) or threshold <= 0:
            raise TreatmentError(
                f"expected a positive clipping threshold, got {threshold:g}; a clip of the loop's own has to be "
                "removed in the source"
            )

        def clip(parameters: list[Tensor], scale: float) -> None:
            if kind == "norm":
                nn.utils.clip_grad_norm_(parameters, threshold * scale)
            elif kind == "value":
                nn.utils.clip_grad_value_(parameters, threshold * scale)
            else:
                clip_adaptively(parameters, threshold * scale)

        if kind not in ("norm", "value", "adaptive"):
            raise TreatmentError(f"expected clipping of kind norm, value or adaptive, got '{kind}'")
        before_step(optimizer, undo, clip)


def clip_adaptively(parameters: list[Tensor], ratio: float) -> None:
    """Scale the gradient of each unit down to at most ``ratio`` times the norm of its weights, in place.

    Args:
        parameters: Parameters with gradients; vectors and the last matrix are left out.
        ratio: Largest ratio, "1".
    """
    with torch.no_grad():
        for parameter in [p for p in parameters if p.dim() > 1][:-1]:
            assert parameter.grad is not None, "only parameters with a gradient are handed in"
            axes = tuple(range(1, parameter.dim()))
            weight = torch.linalg.vector_norm(parameter.detach(), dim=axes, keepdim=True).clamp_min(
                _SMALLEST_WEIGHT_NORM
            )
            gradient = torch.linalg.vector_norm(parameter.grad, dim=axes, keepdim=True).clamp_min(_SMALLEST_NORM)
            parameter.grad.mul_((ratio * weight / gradient).clamp_max(1.0))


ACT = Clip()
