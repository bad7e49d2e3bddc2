"""The autograd graph of one backward pass: its operations, which are layers, and the gradient at each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.autograd.graph import Node

from evengrad.core.info import SourceLine
from evengrad.core.ledger import EntryKind
from evengrad.observation.calls import CallRecorder
from evengrad.observation.operations import (
    VIEWS,
    WEIGHT_ARITHMETIC,
    operation_name,
)
from evengrad.observation.places import Places
from evengrad.observation.registry import Registry
from evengrad.probes._sizes import Number, norm, resolve

# Walking a graph gives each of its nodes a Python object, and with tens of thousands of those in one chain autograd's
# own release of the graph overflows the stack (torch 2.13: seen at 50 000 nodes, not at 25 000).
MOST_NODES = 20_000
_SHARE_ENTRIES = 1 << 20  # contributions larger than this are not kept for the inner products of a merge

Edge = tuple[int, int]  # index of the node a gradient flows to, and which of its outputs it belongs to


@dataclass(eq=False)
class Operation:
    """One node of the graph.

    ``edges`` are where gradient flows on to, towards the data; weights' edges are left out and named in ``weights``.
    """

    node: Node
    name: str
    sequence: int
    edges: list[Edge | None] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    of_parameters: bool = False  # only parameters below: part of how a weight is made
    module: str = ""
    module_id: int = 0
    kind: EntryKind = EntryKind.OTHER
    site: str = ""
    is_layer: bool = False
    spatial: bool = False
    source: SourceLine | None = None
    consumers: list[tuple[int, int]] = field(default_factory=list)  # (index, edge number) of who sends gradient here


def is_too_large(roots: Sequence[Tensor], since: int) -> bool:
    """Return whether a graph may not be walked.

    Args:
        roots: Where a backward pass starts.
        since: Sequence number at the beginning of the step; operations recorded since then are counted, used or not.
    """
    newest = max((root.grad_fn._sequence_nr() for root in roots if root.grad_fn is not None), default=0)
    return newest - since > MOST_NODES


class Graph:
    """The operations reachable from a loss, children before parents in ``order``."""

    def __init__(self, roots: Sequence[Tensor], registry: Registry, calls: CallRecorder) -> None:
        self.operations: list[Operation] = []
        self.senders: dict[Edge, int] = {}  # how many operations send gradient to an output
        self._index: dict[Node, int] = {}
        self.roots = [index for root in roots if root.grad_fn is not None for index in [self._visit(root.grad_fn)]]
        self.order = self._sorted()
        self._find_parameters()
        self._attribute(registry, calls)

    def _visit(self, node: Node) -> int:
        index = self._index.get(node)
        if index is None:
            index = self._index[node] = len(self.operations)
            self.operations.append(Operation(node, operation_name(node.name()), node._sequence_nr()))
        return index

    def _sorted(self) -> list[int]:
        """Return a topological order, towards-the-data first, and fill in the edges."""
        order: list[int] = []
        state: dict[int, int] = {}
        for root in self.roots:
            stack = [root]
            while stack:
                index = stack[-1]
                operation = self.operations[index]
                if index not in state:
                    state[index] = 0
                    operation.edges = [
                        None if child is None else (self._visit(child), number)
                        for child, number in operation.node.next_functions
                    ]
                    stack.extend(edge[0] for edge in operation.edges if edge is not None and edge[0] not in state)
                else:
                    stack.pop()
                    if state[index] == 0:
                        state[index] = 1
                        order.append(index)
        return order

    def _find_parameters(self) -> None:
        """Separate how weights are made from how data flows."""
        leaves: dict[int, list[Tensor]] = {}
        for index in self.order:
            operation = self.operations[index]
            if operation.name == "AccumulateGrad":
                operation.of_parameters = True
                leaves[index] = [operation.node.variable]  # type: ignore[attr-defined]
                continue
            below = [edge for edge in operation.edges if edge is not None]
            made = operation.name in VIEWS or (operation.name in WEIGHT_ARITHMETIC and None not in operation.edges)
            operation.of_parameters = bool(below) and made and all(self.operations[e[0]].of_parameters for e in below)
            if operation.of_parameters:
                leaves[index] = [leaf for edge in below for leaf in leaves[edge[0]]]
                continue
            operation.weights = [leaf for edge in below for leaf in leaves.get(edge[0], ())]
            operation.edges = [
                None if edge is None or self.operations[edge[0]].of_parameters else edge for edge in operation.edges
            ]
            for number, edge in enumerate(operation.edges):
                if edge is not None:
                    self.operations[edge[0]].consumers.append((index, number))
                    self.senders[edge] = self.senders.get(edge, 0) + 1

    def _attribute(self, registry: Registry, calls: CallRecorder) -> None:
        """Give every operation its place in the user's model."""
        Places(self, registry, calls).assign()

    def data(self) -> list[int]:
        """Return the operations that data flows through, towards-the-data first."""
        return [index for index in self.order if not self.operations[index].of_parameters]

    def layers(self) -> list[int]:
        """Return the layer operations, nearest the data first."""
        return [index for index in self.order if self.operations[index].is_layer]

    def leaf_parameters(self) -> list[Tensor]:
        """Return every leaf that this backward pass sends a gradient to."""
        return [op.node.variable for op in self.operations if op.name == "AccumulateGrad"]  # type: ignore[attr-defined]


class Measurement:
    """The gradient norms at the operations of a graph, taken by hooks while the backward pass runs."""

    def __init__(self, graph: Graph, blow: Callable[[str, Exception], None]) -> None:
        self.graph = graph
        self._blow = blow
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self.potentials: dict[tuple[int, int], Number] = {}
        self.entries: dict[int, int] = {}  # of the gradient that a layer's output gets: number of elements
        self.dtypes: dict[int, str] = {}
        self.contributions: dict[tuple[int, int], Number] = {}
        self.shares: dict[tuple[int, int], Number] = {}
        self._kept: dict[tuple[int, int], Tensor] = {}
        self.sizes: dict[int, float] = {}  # largest norm at any output of an operation, once settled
        self.hooked = 0

    def arm(self) -> None:
        """Hook the operations."""
        for index in self.graph.data():
            operation = self.graph.operations[index]
            self._handles.append(operation.node.register_prehook(self._enter(index)))
            if any(edge is not None and self._merges(edge) for edge in operation.edges):
                self._handles.append(operation.node.register_hook(self._leave(index)))
        self.hooked = len(self._handles)

    def disarm(self) -> None:
        """Take every hook off and let go of tensors."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._kept = {}

    def _merges(self, edge: Edge) -> bool:
        """Return whether several consumers send gradient to the same output."""
        return self.graph.senders.get(edge, 0) > 1

    def _enter(self, index: int) -> Callable[[tuple[Tensor | None, ...]], None]:
        """Return a hook that measures the gradient that arrives at an operation's outputs."""
        operation = self.graph.operations[index]

        def hook(gradients: tuple[Tensor | None, ...]) -> None:
            try:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    for number, gradient in enumerate(gradients):
                        if gradient is not None:
                            self.potentials[index, number] = norm(gradient.detach())
                            if operation.is_layer:
                                self.entries[index] = max(gradient.numel(), self.entries.get(index, 1))
                                self.dtypes[index] = str(gradient.dtype).removeprefix("torch.")
                            if self._kept:
                                self._share(index, number, gradient.detach())
            except Exception as error:
                self._blow("gradient hook", error)

        return hook

    def _leave(self, index: int) -> Callable[[tuple[Tensor | None, ...], tuple[Tensor | None, ...]], None]:
        """Return a hook that measures what an operation sends to tensors that other operations use too."""
        edges = [
            (number, edge)
            for number, edge in enumerate(self.graph.operations[index].edges)
            if edge is not None and self._merges(edge)
        ]

        def hook(sent: tuple[Tensor | None, ...], _: tuple[Tensor | None, ...]) -> None:
            try:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    for number, _edge in edges:
                        gradient = sent[number] if number < len(sent) else None
                        if gradient is None:
                            continue
                        self.contributions[index, number] = norm(gradient.detach())
                        if gradient.numel() <= _SHARE_ENTRIES:
                            self._kept[index, number] = gradient.detach()
            except Exception as error:
                self._blow("gradient hook", error)

        return hook

    def _share(self, index: int, output: int, total: Tensor) -> None:
        """Measure the signed share of each consumer in a merged gradient."""
        for sender in self.graph.operations[index].consumers:
            kept = self._kept.get(sender)
            if kept is None or self.graph.operations[sender[0]].edges[sender[1]] != (index, output):
                continue
            del self._kept[sender]
            if kept.shape == total.shape and kept.layout is torch.strided:
                whole = total.float().square().sum()
                share = (kept.float() * total.float()).sum() / whole
                self.shares[sender] = share.item() if share.device.type == "cpu" else share

    def settle(self) -> None:
        """Bring every measured number to the host, with one transfer per device."""
        tables: list[dict[tuple[int, int], Number]] = [self.potentials, self.contributions, self.shares]
        keys = [(table, key) for table in tables for key in table]
        for (table, key), value in zip(keys, resolve([table[key] for table, key in keys]), strict=True):
            table[key] = value
        for (index, _), potential in self.potentials.items():
            seen, size = self.sizes.get(index, 0.0), float(potential)
            # Not max(): a nan must win.
            self.sizes[index] = size if math.isnan(size) or size >= seen else seen

    def first_non_finite(self) -> Operation | None:
        """Return the first operation of the backward pass that turned finite gradient into a non-finite one."""
        for index in reversed(self.graph.data()):
            arrived = self.sizes.get(index)
            if arrived is None or not math.isfinite(arrived):
                continue
            operation = self.graph.operations[index]
            for number, edge in enumerate(operation.edges):
                if edge is None:
                    continue
                sent = self.contributions.get((index, number), self.potentials.get(edge, 0.0))
                if not math.isfinite(float(sent)):
                    return operation
        return None
