"""Weights scaled to what one batch shows, in a single forward pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from evengrad.treatment.initialisation.layers import CONVOLUTIONS, TRANSPOSED, Layer
from evengrad.treatment.initialisation.methods._base import Adjustment
from evengrad.treatment.initialisation.tracing import Batch, feed, undisturbed
from evengrad.treatment.initialisation.writing import NotWritableError, write

_logger = logging.getLogger(__name__)
_SPREAD_BELOW = 1e-6  # of rms: an output that varies less is a constant


@dataclass(eq=False)
class Adjusted:
    """What was done to each layer, by the weight's name.

    Attributes:
        factors: Factor of the weight; the mean factor over units.
        refused: Why a layer stays as drawn.
    """

    factors: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def adjust(model: nn.Module, layers: Sequence[Layer], batch: Batch, kind: Adjustment) -> Adjusted:
    """Scale each layer at its first call in a forward pass, and hand the scaled output on.

    A layer with bias 0 is linear in its weight, so scaling its output is the same as running it again; the next layer
    sees what it will see in training.

    Args:
        model: The model.
        layers: Layers whose weights were drawn, with biases 0.
        batch: What to feed it.
        kind: Whether each layer or each unit is brought to variance 1.

    Returns:
        What was done to each layer.
    """
    done = Adjusted()
    with undisturbed(model), torch.no_grad(), ExitStack() as stack:
        callers = {id(one.out_proj): one for one in model.modules() if isinstance(one, nn.MultiheadAttention)}
        for layer in layers:
            # Attention applies its output projection without calling it.
            module = callers.get(id(layer.module), layer.module)
            stack.callback(module.register_forward_hook(_hook(layer, kind, done)).remove)
        feed(model, batch)
    for layer in layers:
        if layer.name not in done.factors:
            done.refused.setdefault(layer.name, "its module is not called on this batch: not scaled")
    return done


def _hook(layer: Layer, kind: Adjustment, done: Adjusted) -> Callable[[nn.Module, object, object], object]:
    def hook(module: nn.Module, inputs: object, output: object) -> object:
        result = output[0] if isinstance(output, tuple) else output
        if layer.name in done.factors or layer.name in done.refused or not isinstance(result, Tensor):
            return output
        scaled = _adjusted(layer, result, kind, done)
        return (scaled, *output[1:]) if isinstance(output, tuple) else scaled

    return hook


def _adjusted(layer: Layer, given: Tensor, kind: Adjustment, done: Adjusted) -> Tensor:
    bias = layer.module._parameters.get(layer.bias) if layer.bias else None
    if bias is None or not bool(bias.any()):
        return _without_bias(layer, given, kind, done)
    # A head's bias that was set on purpose stays what is added in the end.
    axis = _channels(layer, given)
    offset = bias.detach().clone().reshape([-1 if a == axis else 1 for a in range(given.dim())])
    return _without_bias(layer, given - offset, kind, done) + offset


def _without_bias(layer: Layer, output: Tensor, kind: Adjustment, done: Adjusted) -> Tensor:
    exact = output if output.dtype in (torch.float64, torch.complex64, torch.complex128) else output.float()
    axis = _channels(layer, output)
    others = [a for a in range(output.dim()) if a != axis]
    rms = float(exact.abs().square().mean().sqrt())
    if kind is Adjustment.LAYER:
        spread, mean = exact.std(correction=0), None
        usable = bool(torch.isfinite(spread)) and float(spread) > _SPREAD_BELOW * rms
    else:
        if exact.numel() // exact.shape[axis] < 2:
            done.refused[layer.name] = "one sample has no variance: pass a larger batch"
            return output
        spread, mean = exact.std(dim=others, correction=0), exact.mean(dim=others)
        usable = bool(torch.isfinite(spread).all()) and rms > 0
        spread = torch.where(spread > _SPREAD_BELOW * rms, spread, torch.ones_like(spread))
    if not usable:
        done.refused[layer.name] = "its output does not vary on this batch: not scaled"
        return output
    return _scaled(layer, output, _Change(1 / spread, mean, axis), done)


@dataclass(frozen=True, eq=False)
class _Change:
    """What is done to an output: factor, of it all or per unit along ``axis``, and the mean that is taken away."""

    factor: Tensor
    mean: Tensor | None
    axis: int


def _scaled(layer: Layer, output: Tensor, change: _Change, done: Adjusted) -> Tensor:
    """Scale weight and output; shift the bias where there is one."""
    factor, mean, axis = change.factor, change.mean, change.axis
    weight = layer.weight.detach().clone()
    wanted = (weight * (factor if factor.dim() == 0 else _rows(layer, factor, weight))).to(weight.dtype)
    try:
        write(layer, wanted)
    except NotWritableError as error:
        done.refused[layer.name] = str(error)
        return output
    if not torch.allclose(layer.weight.detach(), wanted, rtol=1e-2, atol=1e-12):
        done.refused[layer.name] = "its parametrisation sets the scale"
        return output
    done.factors[layer.name] = float(factor.mean())
    shape = [-1 if a == axis else 1 for a in range(output.dim())] if factor.dim() else []
    scaled = output * factor.reshape(shape)
    bias = layer.module._parameters.get(layer.bias) if layer.bias else None
    if mean is not None and bias is not None:
        shift = mean * factor
        bias.copy_(bias - shift)
        scaled = scaled - shift.reshape(shape)
    return scaled.to(output.dtype)


def _rows(layer: Layer, factor: Tensor, weight: Tensor) -> Tensor:
    """Return per-output factors in a shape that multiplies the weight."""
    if not layer.inputs_first:
        return factor.reshape(-1, *[1] * (weight.dim() - 1))
    blocks = factor.reshape(layer.groups, 1, -1).expand(-1, weight.shape[0] // layer.groups, -1)
    return blocks.reshape(weight.shape[0], -1, *[1] * (weight.dim() - 2))


def _channels(layer: Layer, output: Tensor) -> int:
    """Return the axis of an output that counts units."""
    if isinstance(layer.module, (*CONVOLUTIONS, *TRANSPOSED)):
        return output.dim() - len(layer.module.kernel_size) - 1
    return output.dim() - 1
