"""A coarse ledger where the graph is hidden: inside compiled code, from what arrives at biases and weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn

from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.observation.graph import Graph
from evengrad.observation.paths import decades
from evengrad.observation.places import COMPILED
from evengrad.observation.registry import Registry
from evengrad.probes._sizes import norm, resolve

_ACTIVATION_PACKAGE = "torch.nn.modules.activation"


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """A layer whose bias has a gradient, the size of that, and the activation module that was defined after it."""

    name: str
    weight: Tensor
    bias: Tensor
    size: float
    activation: str = ""
    activation_kind: str = ""


def is_hidden(graph: Graph) -> bool:
    """Return whether a backward pass runs through compiled code."""
    return any(operation.name.startswith(COMPILED) for operation in graph.operations)


def coarse_ledger(layers: list[HiddenLayer], scale: float) -> Ledger | None:
    """Return a ledger from the gradients of biases, in the order in which layers were defined.

    The gradient of a bias is dL/dh summed over the batch. Its norm stands in for that of dL/dh: the ratio between two
    layers is off by how well samples agree in each, at most half the decades of the batch size. Weights are booked with
    their isotropic scale; the rest goes to the activation module that follows, or to *other* where there is none.

    Args:
        layers: The layers, nearest the data first.
        scale: Loss scale in force.

    Returns:
        The ledger, with step 0; None with fewer than two such layers.
    """
    if len(layers) < 2:
        return None
    sizes = [layer.size for layer in layers]
    weights = resolve([norm(layer.weight.detach()) for layer in layers])
    entries: list[LedgerEntry] = []
    for i in reversed(range(1, len(layers))):
        upper, lower = layers[i], layers[i - 1]
        total = decades(sizes[i - 1], sizes[i])
        share = math.log10(weights[i] / math.sqrt(upper.weight.shape[0])) if weights[i] > 0 else 0.0
        kind = EntryKind.ACTIVATION if lower.activation else EntryKind.OTHER
        entries.append(LedgerEntry(upper.name, "weights", EntryKind.WEIGHT, share, share))
        entries.append(
            LedgerEntry(lower.activation or lower.name, lower.activation_kind or "rest", kind, total - share)
        )
    return Ledger(
        step=0,
        first=layers[0].name,
        last=layers[-1].name,
        attenuation=decades(sizes[0], sizes[-1]),
        entries=tuple(entries),
        loss_norm=sizes[-1] / scale,
        layers=len(layers),
    )


def hidden_layers(registry: Registry) -> list[HiddenLayer]:
    """Return linear and convolutional layers that got gradient, in the order in which their model defines them."""
    return list(_layers(registry))


def _layers(registry: Registry) -> Iterator[HiddenLayer]:
    pending: HiddenLayer | None = None
    for name, module in registry.modules_named().items():
        weight, bias = module._parameters.get("weight"), module._parameters.get("bias")
        if isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.dim() >= 2 and bias.grad is not None:
            if pending is not None:
                yield pending
            (size,) = resolve([norm(bias.grad.detach())])
            pending = HiddenLayer(name, weight, bias, size)
        elif pending is not None and _is_activation(module) and not pending.activation:
            pending = replace(pending, activation=name, activation_kind=type(module).__name__)
    if pending is not None:
        yield pending


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == _ACTIVATION_PACKAGE and not module._modules
