"""What an activation lets through: its derivative, saturated entries and dead units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractNodeProbe, NodeView, Reading
from evengrad.probes._sizes import number, thinned

_SATURATED_BELOW = 0.05  # of the largest derivative; research criterion for sigmoid and tanh, own choice for others

_SAMPLE = 1 << 15  # entries of one activation that are looked at: whole samples, evenly spaced


def _differentiate(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return f'(inputs) of an element-wise function, by autograd on a detached copy."""
    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_(True)
        return torch.autograd.grad(function(leaf).sum(), leaf)[0]


@dataclass(frozen=True)
class _Derivative:
    """How to get f' from what an operation has saved: the operand's name, the formula, the largest |f'|."""

    operand: str
    formula: Callable[[Tensor, NodeView], Tensor]
    largest: float = 1.0


def _leaky(inputs: Tensor, view: NodeView) -> Tensor:
    slope = view.attribute("negative_slope", 0.01)
    return torch.where(inputs > 0, 1.0, slope).to(inputs.dtype)


def _elu(inputs: Tensor, view: NodeView) -> Tensor:
    alpha, scale = view.attribute("alpha", 1.0), view.attribute("scale", 1.0)
    return scale * torch.where(inputs > 0, torch.ones_like(inputs), alpha * inputs.clamp(max=0).exp())


def _hardtanh(inputs: Tensor, view: NodeView) -> Tensor:
    low, high = view.attribute("min_val", -1.0), view.attribute("max_val", 1.0)
    return ((inputs > low) & (inputs < high)).to(inputs.dtype)


_DERIVATIVES: dict[str, _Derivative] = {
    "Sigmoid": _Derivative("result", lambda s, _: s * (1 - s), 0.25),
    "Tanh": _Derivative("result", lambda t, _: 1 - t * t),
    "Relu": _Derivative("result", lambda y, _: (y > 0).to(y.dtype)),
    "Threshold": _Derivative("self", lambda x, v: (x > v.attribute("threshold", 0.0)).to(x.dtype)),
    "LeakyRelu": _Derivative("self", _leaky),
    "Elu": _Derivative("self", _elu),
    "Celu": _Derivative(
        "self", lambda x, v: torch.where(x > 0, 1.0, (x.clamp(max=0) / v.attribute("alpha", 1.0)).exp())
    ),
    "Hardtanh": _Derivative("self", _hardtanh),
    "Gelu": _Derivative("self", lambda x, _: _differentiate(F.gelu, x), 1.13),
    "Silu": _Derivative("self", lambda x, _: _differentiate(F.silu, x), 1.1),
    "Mish": _Derivative("self", lambda x, _: _differentiate(F.mish, x), 1.09),
    "Softplus": _Derivative("self", lambda x, v: torch.sigmoid(x * v.attribute("beta", 1.0))),
    "LogSigmoid": _Derivative("self", lambda x, _: torch.sigmoid(-x)),
    "Hardswish": _Derivative("self", lambda x, _: _differentiate(F.hardswish, x), 1.5),
    "Hardsigmoid": _Derivative("self", lambda x, _: ((x > -3) & (x < 3)).to(x.dtype) / 6, 1 / 6),
}


class Activations(AbstractNodeProbe):
    """Reads f'(h) of element-wise activations from the operand that their backward pass has saved.

    A unit is dead when its derivative is exactly 0 for every sample (and position) of the batch.

    Source:
        Glorot and Bengio, AISTATS 2010, section 3 (saturation); Maas et al., ICML 2013 workshop (dead units).
    """

    def read(self, view: NodeView) -> Iterator[Reading]:
        """Yield SATURATED, DEAD, DEAD_SAMPLES, ACTIVATION_RMS and DERIVATIVE_RMS of an activation site."""
        rule = _DERIVATIVES.get(view.operation)
        saved = view.saved(rule.operand) if rule and view.site else None
        if rule is None or saved is None or saved.numel() == 0 or not saved.is_floating_point():
            return
        kept = thinned(saved, _SAMPLE).float()
        slope = rule.formula(kept, view)
        yield Reading(Statistic.DERIVATIVE_RMS, view.site, number(slope.square().mean().sqrt()))
        yield Reading(Statistic.ACTIVATION_RMS, view.site, number(kept.square().mean().sqrt()))
        weak = slope.abs() < _SATURATED_BELOW * slope.abs().amax().clamp(min=rule.largest)
        yield Reading(Statistic.SATURATED, view.site, number(weak.float().mean()))
        if kept.dim() >= 2 and kept.shape[0] >= 2:
            zero = slope == 0
            dims = [0, *range(2, kept.dim())] if view.spatial else list(range(kept.dim() - 1))
            yield Reading(Statistic.DEAD, view.site, number(zero.all(dim=dims).float().mean()))
            units = kept.shape[1] if view.spatial else kept.shape[-1]
            yield Reading(Statistic.DEAD_SAMPLES, view.site, kept.numel() / units)


def handled() -> frozenset[str]:
    """Return the operations whose derivative this probe knows."""
    return frozenset(_DERIVATIVES)


PROBE = Activations()
