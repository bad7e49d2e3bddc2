"""Layers that the user wrote with bare parameters: ``x @ self.w``, ``F.linear(x, self.w)``."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import Tensor, nn
from torch.autograd.graph import Node

from evengrad.observation.graph import Graph, Operation
from evengrad.observation.operations import operation_name
from evengrad.treatment.initialisation.layers import Kind, Layer

_PRODUCTS = {"Addmm": (1, 2), "Mm": (0, 1)}  # which operands are the two matrices
_TRANSPOSES = ("T", "Transpose", "Permute")
_KEPT = ("ToCopy", "Alias")  # as autocast leaves a weight


def bare_layers(graph: Graph, model: nn.Module, known: Collection[int]) -> list[Layer]:
    """Return the layers whose weight is a matrix that no module of torch's owns.

    Args:
        graph: The graph of a forward pass.
        model: The model.
        known: Ids of the leaves that belong to other layers.

    Returns:
        The layers, nearest the data first; one that is used twice, once.
    """
    places = {
        id(parameter): (name, module, local)
        for name, module in reversed(list(model.named_modules()))
        for local, parameter in module._parameters.items()
        if parameter is not None
    }
    found: dict[int, Layer] = {}
    for index in graph.layers():
        operation = graph.operations[index]
        for weight, inputs_first in _matrices(operation):
            if id(weight) in known or id(weight) in found or id(weight) not in places:
                continue
            name, module, local = places[id(weight)]
            inputs, outputs = weight.shape if inputs_first else reversed(weight.shape)
            prefix = f"{name}." if name else ""
            found[id(weight)] = Layer(
                f"{prefix}{local}", module, local, Kind.DENSE, inputs, outputs,
                inputs_first=inputs_first, bias=_bias(operation, module, outputs),
            )  # fmt: skip
    return list(found.values())


def _matrices(operation: Operation) -> Iterator[tuple[Tensor, bool]]:
    """Yield the matrices that data is multiplied by, and whether they are laid out [in, out]."""
    for side, operand in enumerate(_PRODUCTS.get(operation.name, ())):
        node: Node | None = operation.node.next_functions[operand][0]
        flipped = False
        while node is not None and operation_name(node.name()) in (*_TRANSPOSES, *_KEPT):
            flipped ^= operation_name(node.name()) in _TRANSPOSES
            node = node.next_functions[0][0]
        if node is None or operation_name(node.name()) != "AccumulateGrad":
            continue
        leaf = node.variable  # type: ignore[attr-defined]
        if isinstance(leaf, Tensor) and leaf.dim() == 2:
            # What comes second in a product is laid out [in, out], and [out, in] once it is transposed.
            yield leaf, flipped is not (side == 1)


def _bias(operation: Operation, module: nn.Module, outputs: int) -> str:
    """Return the name of the vector that is added, if the same module owns it."""
    vectors = {id(leaf) for leaf in operation.weights if leaf.shape == (outputs,)}
    return next((name for name, own in module._parameters.items() if own is not None and id(own) in vectors), "")
