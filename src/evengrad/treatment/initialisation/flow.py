"""Where data goes in an autograd graph, seen from its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evengrad.core.ledger import EntryKind
from evengrad.observation.graph import Graph
from evengrad.theory.activation import Activation
from evengrad.theory.lookup import as_activation
from evengrad.treatment.initialisation.neighbourhood import Branch, Neighbourhood, Side

Recognise = Callable[[int], Activation | None]
_SUMS = frozenset({"Add", "Sub"})
_RANKS = (
    Side.ACTIVATION, Side.NORMALISATION, Side.ATTENTION, Side.PRODUCT, Side.OPAQUE, Side.STREAM, Side.LAYER,
    Side.OUTPUT,
)  # fmt: skip


@dataclass(eq=False)
class _Merge:
    """A sum of a stream and a branch."""

    index: int
    stream: int  # operation that brings the stream
    branch: int  # operation that brings the branch
    layers: frozenset[int]
    own: int  # bit set of the branch's operations
    skipped: int  # bit set of the operations on the way of the stream alone
    below: int = -1  # the merge that the stream comes from; -1: none, or a normalisation is between
    count: int = 1
    members: list[int] = field(default_factory=list)


class Flow:
    """Answers what stands before and after each layer of a graph."""

    def __init__(self, graph: Graph, recognise: Recognise) -> None:
        self._graph = graph
        self._ops = graph.operations
        self._data = graph.data()
        self._recognise = recognise
        self._activations: dict[int, Activation | None] = {}
        self._layer_bits = [(bit, i) for bit, i in enumerate(self._data) if self._ops[i].is_layer]
        self._has_layer_above = self._find_layers_above()
        self._merges = self._find_merges()
        self._link_merges()

    def around(self, layer: int, key_of: Callable[[int], int | None]) -> Neighbourhood:
        """Return the neighbourhood of a layer.

        Args:
            layer: Index of its operation.
            key_of: Gives the key of another layer's weight.
        """
        before, reads, source = self._before(layer)
        after, feeds = self._after(layer)
        branch = self._branch(layer)
        return Neighbourhood(
            before=before,
            after=Side.STREAM if branch is not None and branch.ends else after,
            reads=reads,
            feeds=feeds,
            source=key_of(source) if source is not None else None,
            branch=branch,
            is_head=not self._has_layer_above[layer] and not (branch is not None and branch.ends),
        )

    def _inputs(self, index: int) -> list[int]:
        return [edge[0] for edge in self._ops[index].edges if edge is not None]

    def _find_layers_above(self) -> dict[int, bool]:
        found: dict[int, bool] = {}
        for index in reversed(self._data):
            found[index] = any(self._ops[c].is_layer or found.get(c, False) for c, _ in self._ops[index].consumers)
        return found

    def _activation(self, index: int) -> Activation | None:
        if index not in self._activations:
            self._activations[index] = self._swish(index) or self._recognise(index)
        return self._activations[index]

    def _swish(self, index: int) -> Activation | None:
        """Recognise x * sigmoid(x) written out, at either operation."""
        if self._ops[index].name == "Sigmoid":
            return next((found for user, _ in self._ops[index].consumers if (found := self._swish(user))), None)
        inputs = self._inputs(index)
        if self._ops[index].name != "Mul" or len(inputs) != 2:
            return None
        for gate, value in (inputs, inputs[::-1]):
            if self._ops[gate].name == "Sigmoid" and self._inputs(gate) == [value]:
                return as_activation("silu")
        return None

    def side(self, index: int) -> Side | None:
        """Return what an operation is to its neighbours; ``None`` if data just passes through it."""
        operation = self._ops[index]
        if operation.is_layer:
            return Side.LAYER
        if self._activation(index) is not None:
            return Side.ACTIVATION
        inputs = set(self._inputs(index))
        if operation.kind is EntryKind.NORMALISATION:
            return Side.NORMALISATION
        if operation.kind is EntryKind.ATTENTION or "Softmax" in operation.name:
            return Side.ATTENTION
        if operation.kind is EntryKind.ACTIVATION or operation.kind is EntryKind.RECURRENT:
            return Side.OPAQUE
        if operation.name in _SUMS and len(inputs) > 1:
            return Side.STREAM
        if operation.name == "Mul" and len(inputs) > 1:
            return Side.PRODUCT
        return None

    def _before(self, layer: int) -> tuple[Side, Activation | None, int | None]:
        """Walk towards the data; returns what is met, the activation, and the layer that feeds it alone."""
        index = layer
        while True:
            inputs = self._inputs(index)
            if not inputs:
                return Side.DATA, None, None
            index = inputs[0]
            side = self.side(index)
            if side is Side.ACTIVATION:
                return side, self._activation(index), self._source(index)
            if side is not None:
                return side, None, index if side is Side.LAYER else None

    def _source(self, index: int) -> int | None:
        """Return the layer below an activation, if it alone sets the variance of what the activation reads."""
        first = index
        while inputs := self._inputs(index):
            index = inputs[0]
            side = self.side(index)
            if side is Side.LAYER:
                return index
            if side is Side.ACTIVATION and self._activation(index) is self._activation(first):
                continue  # inside a composite of several operations
            if side is not None:
                return None
        return None

    def _after(self, layer: int) -> tuple[Side, Activation | None]:
        """Walk towards the loss along every way; returns the most telling thing that is met first on one of them."""
        met: dict[Side, Activation | None] = {}
        stack, seen = [layer], {layer}
        while stack:
            consumers = [consumer for consumer, _ in self._ops[stack.pop()].consumers]
            if not consumers:
                met.setdefault(Side.OUTPUT, None)
            for consumer in consumers:
                if consumer in seen:
                    continue
                seen.add(consumer)
                side = self.side(consumer)
                if side is None:
                    stack.append(consumer)
                else:
                    met.setdefault(side, self._activation(consumer) if side is Side.ACTIVATION else None)
                    if side is Side.STREAM and self._branch(layer) is None:
                        stack.append(consumer)  # a stem, or a sum of two embeddings: look beyond
        side = next(side for side in _RANKS if side in met)
        return side, met[side]

    def _find_merges(self) -> list[_Merge]:
        """Find the sums of which one summand went through layers that the other did not."""
        sums = {i for i in self._data if self._ops[i].name in _SUMS and len(set(self._inputs(i))) == 2}
        if not sums:
            return []
        position = {index: bit for bit, index in enumerate(self._data)}
        layer_bits = sum(1 << bit for bit, _ in self._layer_bits)
        below: dict[int, int] = {}
        merges: list[_Merge] = []
        for index in self._data:
            inputs = list(dict.fromkeys(self._inputs(index)))
            if index in sums:
                merge = self._as_merge(index, inputs, below, layer_bits)
                merges += [merge] if merge is not None else []
            reach = 1 << position[index]
            for one in inputs:
                reach |= below[one]
            below[index] = reach
        return merges

    def _as_merge(self, index: int, inputs: Sequence[int], below: dict[int, int], layer_bits: int) -> _Merge | None:
        first, second = inputs
        common = below[first] & below[second]
        only = {first: below[first] & ~common, second: below[second] & ~common}
        sizes = {one: (only[one] & layer_bits).bit_count() for one in inputs}
        stream, branch = sorted(inputs, key=lambda one: sizes[one])
        if not common or sizes[stream] == sizes[branch]:
            return None
        inside = only[branch] & layer_bits
        layers = frozenset(index for bit, index in self._layer_bits if inside >> bit & 1)
        return _Merge(index, stream, branch, layers, only[branch], only[stream])

    def _link_merges(self) -> None:
        """Group the merges whose streams follow one another without a normalisation between."""
        known = {merge.index: number for number, merge in enumerate(self._merges)}
        groups: dict[int, list[int]] = {}
        root: dict[int, int] = {}
        for number, merge in enumerate(self._merges):
            under = self._merge_under(merge.stream, known)
            root[number] = root[under] if under is not None else number
            groups.setdefault(root[number], []).append(number)
        for members in groups.values():
            for number in members:
                self._merges[number].count = len(members)

    def _merge_under(self, index: int, known: dict[int, int]) -> int | None:
        while True:
            if index in known:
                return known[index]
            if self.side(index) is Side.NORMALISATION:
                return None
            inputs = self._inputs(index)
            if not inputs:
                return None
            index = inputs[0]

    def _branch(self, layer: int) -> Branch | None:
        """Return the branch that a layer stands in; the innermost where branches nest."""
        holding = [merge for merge in self._merges if layer in merge.layers]
        if not holding:
            return None
        merge = min(holding, key=lambda merge: len(merge.layers))
        ends, normalised = self._ends(layer, merge)
        return Branch(merge.count, len(merge.layers), ends, normalised)

    def _ends(self, layer: int, merge: _Merge) -> tuple[bool, bool]:
        """Return whether a layer is the last of a branch, and whether a normalisation comes after it there."""
        index, normalised = merge.branch, False
        while True:
            if index == layer:
                return True, normalised
            if self._ops[index].is_layer:
                return False, normalised
            normalised = normalised or self.side(index) is Side.NORMALISATION
            inputs = [one for one in self._inputs(index) if one != merge.stream]
            if not inputs:
                return False, normalised
            index = inputs[0]
