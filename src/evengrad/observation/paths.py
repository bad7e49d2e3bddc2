"""From gradient norms at operations to the ledger: the dominant path from the last layer to the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from evengrad.core.ledger import Branch, EntryKind, Ledger, LedgerEntry, TimeProfile
from evengrad.observation.graph import Graph, Measurement, Operation
from evengrad.observation.registry import Registry
from evengrad.probes._sizes import norm, resolve

_FEWEST_USES = 3  # of one weight on the way, to call the way a recurrence
_MOST_BRANCHES = 64


def decades(value: float, reference: float) -> float:
    """Return log10(value/reference); -inf for an exact 0, nan when either is not finite or the reference is 0."""
    if not (math.isfinite(value) and math.isfinite(reference)) or reference == 0:
        return math.nan
    return math.log10(value) - math.log10(reference) if value > 0 else -math.inf


@dataclass(frozen=True)
class _Hop:
    """One step of the path: through ``sender`` to the output ``output`` of ``receiver``."""

    receiver: int
    output: int
    sender: int
    edge: int


class PathBuilder:
    """Builds the ledger and the time profiles of one measured backward pass."""

    def __init__(self, measurement: Measurement, registry: Registry, scales: dict[str, float]) -> None:
        """Take a settled measurement.

        Args:
            measurement: Gradient norms of one backward pass.
            registry: Names.
            scales: Root mean square derivative by activation site.
        """
        self._measured = measurement
        self._graph: Graph = measurement.graph
        self._registry = registry
        self._scales = scales

    def depths(self) -> dict[int, int]:
        """Return for each layer how many layers lie below it, towards the data, on the longest way."""
        below: dict[int, int] = {}
        for index in self._graph.data():
            operation = self._graph.operations[index]
            heights = [
                below[edge[0]] + self._graph.operations[edge[0]].is_layer
                for edge in operation.edges
                if edge is not None
            ]
            below[index] = max(heights, default=0)
        return {index: below[index] for index in self._graph.layers()}

    def first_layer(self) -> int | None:
        """Return the layer with most layers above it; of equals, the earliest."""
        above: dict[int, int] = {}
        for index in reversed(self._graph.data()):
            senders = self._graph.operations[index].consumers
            above[index] = max(
                (above.get(sender, 0) + self._graph.operations[sender].is_layer for sender, _ in senders), default=0
            )
        layers = [index for index in self._graph.layers() if index in self._measured.sizes]
        return min(layers, key=lambda i: (-above[i], self._graph.operations[i].sequence), default=None)

    def path_from(self, first: int) -> list[_Hop]:
        """Return the hops from a layer up to the loss, at each merge through the consumer that sends most."""
        hops: list[_Hop] = []
        index = first
        while True:
            operation = self._graph.operations[index]
            candidates = [
                (self._sent(sender, edge), sender, edge)
                for sender, edge in operation.consumers
                if sender in self._measured.sizes
            ]
            if not candidates:
                return hops
            _, sender, edge = max(candidates, key=lambda item: -1.0 if math.isnan(item[0]) else item[0])
            target = self._graph.operations[sender].edges[edge]
            assert target is not None
            hops.append(_Hop(index, target[1], sender, edge))
            index = sender

    def _sent(self, sender: int, edge: int) -> float:
        """Return the norm of what an operation sends along one of its edges."""
        if (sender, edge) in self._measured.contributions:
            return float(self._measured.contributions[sender, edge])
        target = self._graph.operations[sender].edges[edge]
        assert target is not None
        return float(self._measured.potentials.get(target, math.nan))

    def ledger(self, scale: float) -> Ledger | None:
        """Return the ledger of the pass, with step 0; None when it has fewer than two layers on a way.

        Args:
            scale: Loss scale in force.
        """
        first = self.first_layer()
        if first is None:
            return None
        hops = self.path_from(first)
        on_path = [first, *(hop.sender for hop in hops)]
        layers = [index for index in on_path if self._graph.operations[index].is_layer]
        if len(layers) < 2:
            return None
        last = layers[-1]
        count = on_path.index(last)
        inner = hops[:count]
        # What arrives at each sender is what the hop above it delivered; at the loss itself, the largest output.
        arrived = [self._size_at(hop) for hop in hops[1 : count + 1]]
        if len(arrived) < count:
            arrived.append(self._measured.sizes[last])
        entries = [entry for i in reversed(range(count)) for entry in self._entries(inner[i], arrived[i])]
        start, end = arrived[-1], self._size_at(inner[0])
        operations = self._graph.operations
        return Ledger(
            step=0,
            first=operations[first].site,
            last=operations[last].site,
            attenuation=decades(end, start),
            entries=_merged(entries),
            branches=self._branches(inner),
            loss_norm=start / scale,
            rms_correction=0.5 * math.log10(self._measured.entries[last] / self._measured.entries[first]),
            layers=len(layers),
            steps_in_time=self._reuse(layers),
        )

    def _size_at(self, hop: _Hop) -> float:
        return float(self._measured.potentials.get((hop.receiver, hop.output), math.nan))

    def _entries(self, hop: _Hop, arrived: float) -> list[LedgerEntry]:
        """Return the entry of the operation that sends, and the merge entry (if any) at the receiver."""
        sender, receiver = self._graph.operations[hop.sender], self._graph.operations[hop.receiver]
        sent, got = self._sent(hop.sender, hop.edge), self._size_at(hop)
        operation = LedgerEntry(
            module=sender.module,
            operation=sender.name,
            kind=sender.kind,
            decades=decades(sent, arrived),
            scale=self._scale(sender),
            source=sender.source,
        )
        if (hop.sender, hop.edge) not in self._measured.contributions:
            return [operation]
        return [operation, LedgerEntry(receiver.module, "merge", EntryKind.MERGE, decades(got, sent))]

    def _scale(self, operation: Operation) -> float | None:
        """Return the part of an entry that an isotropic gradient would see.

        Source:
            Project theory page, the ledger: log10(|W|_F/sqrt(n_out)) for weights, log10(rms f') for activations.
        """
        if operation.is_layer and operation.kind is EntryKind.WEIGHT:
            weight = max(operation.weights, key=lambda tensor: tensor.numel())
            (size,) = resolve([norm(weight.detach())])
            outputs = _outputs_of(operation, weight)
            return math.log10(size / math.sqrt(outputs)) if size > 0 and math.isfinite(size) else None
        slope = self._scales.get(operation.site, 0.0) if operation.kind is EntryKind.ACTIVATION else 0.0
        return math.log10(slope) if slope > 0 and math.isfinite(slope) else None

    def _branches(self, hops: list[_Hop]) -> tuple[Branch, ...]:
        """Return the merges on the path with the signed share of each consumer."""
        found: list[Branch] = []
        for hop in hops:
            receiver = self._graph.operations[hop.receiver]
            senders = [s for s in receiver.consumers if s in self._measured.shares]
            if len(senders) > 1 and len(found) < _MOST_BRANCHES:
                names = tuple(_label(self._graph.operations[index]) for index, _ in senders)
                found.append(Branch(receiver.module, names, tuple(float(self._measured.shares[s]) for s in senders)))
        return tuple(reversed(found))

    def _reuse(self, layers: list[int]) -> int:
        """Return how often the most reused weight is used on a path; 1 below the number that makes a recurrence."""
        uses: dict[str, int] = {}
        for index in layers:
            site = self._graph.operations[index].site
            uses[site] = uses.get(site, 0) + 1
        most = max(uses.values())
        return most if most >= _FEWEST_USES else 1

    def time_profiles(self, scale: float) -> list[TimeProfile]:
        """Return, for each weight that is used again and again, the gradient at its uses in order of time."""
        uses: dict[str, list[int]] = {}
        for index in self._graph.layers():
            uses.setdefault(self._graph.operations[index].site, []).append(index)
        profiles = []
        for indices in uses.values():
            if len(indices) < _FEWEST_USES or not self._chained(indices):
                continue
            indices.sort(key=lambda index: self._graph.operations[index].sequence)
            norms = tuple(self._measured.sizes.get(index, math.nan) / scale for index in indices)
            operation = self._graph.operations[indices[0]]
            profiles.append(TimeProfile(0, operation.module, "hidden", norms, operation.source))
        return profiles

    def _chained(self, indices: list[int]) -> bool:
        """Return whether the uses of a weight feed each other (recurrent), not stand side by side (siamese)."""
        members = set(indices)
        last = max(indices, key=lambda index: self._graph.operations[index].sequence)
        stack, seen = [last], {last}
        reached = 0
        while stack:
            for edge in self._graph.operations[stack.pop()].edges:
                if edge is not None and edge[0] not in seen:
                    seen.add(edge[0])
                    stack.append(edge[0])
                    reached += edge[0] in members
        return reached >= len(indices) - 1


def _outputs_of(operation: Operation, weight: Tensor) -> int:
    """Return a weight's number of output units: its first size, or the last where data is multiplied by W itself."""
    transposed = any(
        child.name().startswith("TBackward") for child, _ in operation.node.next_functions if child is not None
    )
    plain_product = operation.name in ("Addmm", "Mm", "Bmm", "Baddbmm") and not transposed
    return weight.shape[-1] if plain_product or operation.name.startswith("Embedding") else weight.shape[0]


def _label(operation: Operation) -> str:
    return f"{operation.module or operation.name.lower()}"


def _merged(entries: list[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Add up repeated entries of the same module and operation (a recurrence), keeping first-met order."""
    table: dict[tuple[str, str], LedgerEntry] = {}
    for entry in entries:
        key = (entry.module, entry.operation)
        seen = table.get(key)
        if seen is None:
            table[key] = entry
            continue
        scale = None if seen.scale is None or entry.scale is None else seen.scale + entry.scale
        table[key] = LedgerEntry(
            seen.module, seen.operation, seen.kind, seen.decades + entry.decades, scale, seen.uses + 1, seen.source
        )
    return tuple(table.values())
