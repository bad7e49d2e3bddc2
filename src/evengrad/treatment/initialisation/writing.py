"""New values into parameters, also where a weight is computed from others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from evengrad.treatment.initialisation.layers import Layer


class NotWritableError(Exception):
    """A weight cannot be given a value; the message says why, as a reason for the report."""


def write(layer: Layer, value: Tensor) -> None:
    """Give a layer's weight a value, through its parametrisation where it has one.

    Raises:
        NotWritableError: The parametrisation takes no value from outside, or it does not fit.
    """
    with torch.no_grad():
        own = layer.module._parameters.get(layer.attribute)
        if own is not None:
            own.copy_(value)
        elif parametrize.is_parametrized(layer.module, layer.attribute):
            _write_parametrised(layer, value)
        else:
            _write_hooked(layer, value)


def _write_parametrised(layer: Layer, value: Tensor) -> None:
    kept = [(leaf, leaf.detach().clone()) for leaf in layer.leaves]
    try:
        setattr(layer.module, layer.attribute, value)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        for leaf, old in kept:
            leaf.copy_(old)
        raise NotWritableError("its parametrisation takes no value from outside") from error


def _write_hooked(layer: Layer, value: Tensor) -> None:
    """Write through the older weight_norm and spectral_norm, which keep ``weight_g``, ``weight_v``, ``weight_orig``."""
    parameters = layer.module._parameters
    size, direction = parameters.get(f"{layer.attribute}_g"), parameters.get(f"{layer.attribute}_v")
    original = parameters.get(f"{layer.attribute}_orig")
    if original is not None:
        original.copy_(value)
    elif size is not None and direction is not None:
        axes = [axis for axis in range(value.dim()) if size.shape[axis] == 1] if size.dim() else []
        direction.copy_(value)
        size.copy_(torch.linalg.vector_norm(value, dim=axes or None, keepdim=bool(size.dim())))
    else:
        raise NotWritableError("it is computed in a way that evengrad does not know")


def note_of_parametrisation(module: nn.Module, attribute: str) -> str:
    """Return what a parametrisation makes of a written value, or ""."""
    names: list[str] = []
    if parametrize.is_parametrized(module, attribute):
        chain = module.get_submodule(f"parametrizations.{attribute}")
        names = [type(step).__name__.strip("_") for step in chain.children()]
    elif f"{attribute}_orig" in module._parameters:
        names = ["SpectralNorm"]
    if any("Orthogonal" in name for name in names):
        return "the orthogonal parametrisation sets the scale; only the directions are new"
    if any("Spectral" in name for name in names):
        return "spectral_norm sets the scale; only the direction is new"
    return f"through {', '.join(names)}" if names else ""
