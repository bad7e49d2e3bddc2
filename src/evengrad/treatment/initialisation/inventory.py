"""What a model holds: layers to draw, recurrent modules, and what an initialisation has no business with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from evengrad.errors import UsageError
from evengrad.treatment.initialisation.gates import Recurrent, recurrent_of
from evengrad.treatment.initialisation.layers import NORMALISATIONS, Layer, layers_of, owners_of_leaves

_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Inventory:
    """The contents of a model.

    Attributes:
        layers: Layers to draw, each weight once.
        all_layers: Every layer, also those that are left.
        recurrent: Recurrent modules.
        left: Reasons to leave, by name of the weight or parameter.
        shapes: Shapes by the name that the report uses, in the model's order.
    """

    layers: tuple[Layer, ...]
    all_layers: tuple[Layer, ...]
    recurrent: tuple[Recurrent, ...]
    left: dict[str, str]
    shapes: dict[str, tuple[int, ...]]


def take_inventory(model: nn.Module, chosen: Collection[str] | None) -> Inventory:
    """List what is in a model.

    Args:
        model: The model.
        chosen: Names of the modules to draw, with all below them; ``None`` for all.

    Returns:
        Its contents.

    Raises:
        UsageError: A parameter has no storage yet, or a name is no module's.
    """
    _refuse_unready(model)
    named = {name: module for name, module in model.named_modules() if not _inside_parametrisation(name)}
    _refuse_unknown(chosen, named)
    found = [layer for name, module in named.items() for layer in layers_of(name, module)]
    owners = owners_of_leaves(found)
    left: dict[str, str] = {}
    layers: list[Layer] = []
    for layer in found:
        reason = _reason_for_layer(layer, owners, chosen)
        if reason:
            left[layer.name] = reason
        else:
            layers.append(layer)
    recurrents = [r for name, module in named.items() if (r := recurrent_of(name, module)) is not None]
    recurrent = tuple(r for r in recurrents if _is_chosen(r.name, chosen))
    handled = {id(leaf) for layer in found for leaf in layer.leaves}
    handled |= {id(p) for r in recurrent for p in r.module.parameters(recurse=False)}
    handled |= {id(bias) for layer in layers if (bias := layer.module._parameters.get(layer.bias)) is not None}
    shapes = _shapes(model, found)
    for name, module in named.items():
        for local, parameter in module._parameters.items():
            full = f"{name}.{local}" if name else local
            if parameter is not None and id(parameter) not in handled:
                left.setdefault(full, _reason(module, parameter, full, chosen))
    return Inventory(tuple(layers), tuple(found), recurrent, left, shapes)


def with_bare_layers(inventory: Inventory, bare: Sequence[Layer], chosen: Collection[str] | None) -> Inventory:
    """Return the inventory with the layers that only a graph shows."""
    layers, left = list(inventory.layers), dict(inventory.left)
    owners = owners_of_leaves(bare)
    for layer in bare:
        reason = _reason_for_layer(layer, owners, chosen)
        left.pop(layer.name, None)
        if reason:
            left[layer.name] = reason
            continue
        layers.append(layer)
        if layer.bias:
            left.pop(f"{layer.name.rpartition('.')[0]}.{layer.bias}".lstrip("."), None)
    return replace(inventory, layers=tuple(layers), all_layers=(*inventory.all_layers, *bare), left=left)


def _refuse_unready(model: nn.Module) -> None:
    parameters: list[tuple[str, object]] = list(model.named_parameters())
    for bad, advice in (
        ([n for n, p in parameters if isinstance(p, UninitializedParameter)],
         "lazy: run one batch through the model first"),
        ([n for n, p in parameters if isinstance(p, Tensor) and p.is_meta],
         "on the meta device: give them storage with model.to_empty(device=...) first"),
    ):  # fmt: skip
        if bad:
            names = ", ".join(f"`{name}`" for name in bad[:_MOST_NAMED])
            more = f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
            raise UsageError(f"{names}{more}: parameters are {advice}")


def _refuse_unknown(chosen: Collection[str] | None, named: dict[str, nn.Module]) -> None:
    unknown = [name for name in chosen or () if name not in named]
    if unknown:
        raise UsageError(f"the model has no module `{unknown[0]}` (it has: {', '.join(list(named)[1:9])}, ...)")


def _inside_parametrisation(name: str) -> bool:
    return "parametrizations" in name.split(".")


def _is_chosen(name: str, chosen: Collection[str] | None) -> bool:
    return chosen is None or any(name == one or one == "" or name.startswith(f"{one}.") for one in chosen)


def _reason_for_layer(layer: Layer, owners: dict[int, Layer], chosen: Collection[str] | None) -> str:
    """Return why a layer is left, or ""."""
    owner_name = layer.name.rpartition(".")[0]
    if not _is_chosen(owner_name, chosen):
        return "not among the modules asked for"
    if not layer.leaves:
        return "holds no parameter of its own"
    owner = owners[id(layer.leaves[0])]
    if owner is not layer:
        return f"tied to {owner.name}, drawn there"
    if any(not _is_number(leaf) for leaf in layer.leaves):
        return "quantised: not a floating-point number"
    if any(not leaf.requires_grad for leaf in layer.leaves):
        return "frozen"
    return "empty" if layer.weight.numel() == 0 else ""


def _reason(module: nn.Module, parameter: Tensor, name: str, chosen: Collection[str] | None) -> str:
    if not _is_chosen(name.rpartition(".")[0], chosen):
        return "not among the modules asked for"
    if not _is_number(parameter):
        return "quantised: not a floating-point number"
    if not parameter.requires_grad:
        return "frozen"
    if isinstance(module, NORMALISATIONS):
        zero = parameter.numel() > 0 and not bool(parameter.detach().any())
        zero_gain = zero and name.endswith("weight")
        return "normalisation whose zero gain starts a branch at 0" if zero_gain else "normalisation: right as it is"
    if isinstance(module, nn.PReLU):
        return "slope of an activation"
    if isinstance(module, nn.MultiheadAttention):
        return "extra key or value: right as it is"
    return "no layer that evengrad knows: what it does is the model's own"


def _is_number(parameter: Tensor) -> bool:
    small = parameter.is_floating_point() and parameter.element_size() == 1  # float8 holds what was quantised
    return (parameter.is_floating_point() or parameter.is_complex()) and not small and not parameter.is_quantized


def _shapes(model: nn.Module, layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    """Return shapes in the model's order; leaves of computed weights go by the weight's name."""
    names = {id(leaf): layer for layer in reversed(layers) for leaf in layer.leaves if not _is_own(layer)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        layer = names.get(id(parameter))
        if layer is None:
            shapes[name] = tuple(parameter.shape)
        else:
            with torch.no_grad():
                shapes.setdefault(layer.name, tuple(layer.weight.shape))
    return shapes


def _is_own(layer: Layer) -> bool:
    return layer.module._parameters.get(layer.attribute) is not None
