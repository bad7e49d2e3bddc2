"""Where the operations of a graph stand in the user's model: module, kind, name as a place, source line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.autograd.graph import Node

from evengrad.core.info import SourceLine
from evengrad.core.ledger import EntryKind
from evengrad.observation.calls import CallRecorder
from evengrad.observation.operations import can_hold_weight, is_activation, kind_of
from evengrad.observation.registry import Registry
from evengrad.observation.sources import line_from_traceback, line_of

if TYPE_CHECKING:
    from evengrad.observation.graph import Graph, Operation

COMPILED = "CompiledFunction"  # how the node of a compiled region is named
_ACTIVATION_PACKAGE = "torch.nn.modules.activation"


class Places:
    """Gives every operation of a graph its module, kind, site and line.

    A layer is named by the module that owns its weight (``fc1``), an activation by its own module where that serves one
    layer (``net.1``), else by that layer (``fc1:relu``).
    """

    def __init__(self, graph: Graph, registry: Registry, calls: CallRecorder) -> None:
        self._graph = graph
        self._registry = registry
        self._modules = {index: calls.module_of(graph.operations[index].sequence) for index in graph.data()}
        self._serves: dict[tuple[int, str], set[str]] = {}  # the layers that a module's activation follows
        self._below: dict[int, int | None] = {}  # the layer that an operation's data comes from
        self._taken: dict[tuple[int | None, str], int] = {}

    def assign(self) -> None:
        """Name everything, operations nearest the data first."""
        for index in self._graph.data():
            operation, module = self._graph.operations[index], self._modules[index]
            operation.module_id = id(module) if module is not None else 0
            operation.module = (self._registry.name_of_module(module) or "") if module is not None else ""
            matrices = [weight for weight in operation.weights if weight.dim() >= 2]
            hidden = operation.name.startswith(COMPILED)
            operation.is_layer = bool(matrices) and not hidden and can_hold_weight(operation.name)
            leaf = _is_leaf(module)
            operation.kind = kind_of(
                operation.name,
                type(module).__name__,
                has_weight=operation.is_layer,
                leaf_activation=leaf and type(module).__module__ == _ACTIVATION_PACKAGE,
            )
            operation.source = self._line(operation, leaf=leaf)
            if operation.is_layer:
                self._name_layer(operation, module, max(matrices, key=lambda weight: weight.numel()))
            self._below[index] = index if operation.is_layer else self._layer_below(operation)
            operation.spatial = self._is_spatial(operation)
        self._name_activations()
        self._forget_losses()

    def _name_layer(self, operation: Operation, module: nn.Module | None, weight: Tensor) -> None:
        """Name a layer by the owner of its weight."""
        # A tied weight is the module's that uses it, whatever other names it has.
        own = module._parameters.items() if module is not None else ()
        local = next((name for name, parameter in own if parameter is weight), None)
        if local is not None:
            parameter = f"{operation.module}.{local}".lstrip(".")
        else:
            parameter = self._registry.parameter_names.get(id(weight), operation.module)
        owner, _, local = parameter.rpartition(".")
        if owner:
            plain = local in ("weight", "original0", "original1")
            operation.site, operation.module = owner if plain else f"{owner}:{local}", owner
        elif _is_leaf(module):
            operation.site = type(module).__name__  # the model itself is one layer
        else:
            operation.site = local or operation.module

    def _name_activations(self) -> None:
        chosen = [i for i in self._graph.data() if is_activation(self._graph.operations[i].name)]
        chosen = [index for index in chosen if not self._graph.operations[index].is_layer]
        for index in chosen:
            key = (id(self._modules[index]), self._graph.operations[index].name)
            self._serves.setdefault(key, set()).add(self._layer(index))
        for index in chosen:
            self._name_activation(index, self._graph.operations[index], self._modules[index])

    def _layer(self, index: int) -> str:
        """Return the name of the layer below an operation, or ""."""
        below = self._below[index]
        return self._graph.operations[below].site if below is not None else ""

    def _name_activation(self, index: int, operation: Operation, module: nn.Module | None) -> None:
        """Name an activation by its module if that serves one layer, else by that layer."""
        serves_one = len(self._serves[id(module), operation.name]) == 1
        if operation.module and _is_leaf(module) and (serves_one or isinstance(module, nn.RNNBase)):
            operation.site = operation.module
            return
        below = self._below[index]
        if below is not None:
            operation.module = self._graph.operations[below].module
        layer = self._layer(index) or operation.module
        base = f"{layer}:{operation.name.lower()}"
        # Two of a kind on one use of a layer (gates) are two places; many uses of a layer in a recurrence are one.
        count = self._taken[below, base] = self._taken.get((below, base), 0) + 1
        operation.site = base if count == 1 else f"{base}.{count - 1}"

    def _layer_below(self, operation: Operation) -> int | None:
        edges = (edge for edge in operation.edges if edge is not None)
        return next((found for edge in edges if (found := self._below.get(edge[0])) is not None), None)

    def _is_spatial(self, operation: Operation) -> bool:
        """Return whether units are channels: a convolution lies just below."""
        if "Convolution" in operation.name or "Conv2D" in operation.name:
            return True
        below = next((edge for edge in operation.edges if edge is not None), None)
        passes = operation.kind in (EntryKind.ACTIVATION, EntryKind.NORMALISATION, EntryKind.SHAPE)
        return passes and below is not None and self._graph.operations[below[0]].spatial

    def _line(self, operation: Operation, *, leaf: bool) -> SourceLine | None:
        """Return where the user made the module, for a library module, else where the user called the operation."""
        if leaf and (defined := self._registry.defined(operation.module_id)) is not None:
            return defined
        place = line_from_traceback(_metadata(operation.node).get("traceback_", []))
        return line_of(*place) if place else None

    def _forget_losses(self) -> None:
        """Take the site from non-linearities of the loss: outside every module, with no layer above them."""
        above: set[int] = set()
        for index in reversed(self._graph.data()):
            operation = self._graph.operations[index]
            if any(sender in above or self._graph.operations[sender].is_layer for sender, _ in operation.consumers):
                above.add(index)
            elif operation.site and not operation.is_layer and not operation.module_id:
                operation.site, operation.module = "", ""


def _is_leaf(module: nn.Module | None) -> bool:
    return module is not None and not module._modules and type(module).__module__.startswith("torch.nn")


def _metadata(node: Node) -> dict[str, list[str]]:
    """Return what autograd keeps with a node; declared as a method in torch's annotations, but a dictionary."""
    found: object = node.metadata
    return found if isinstance(found, dict) else {}
