"""What stands between the last layer and the loss: a function that the loss applies once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evengrad.observation.graph import Graph, Operation
from evengrad.observation.operations import VIEWS

_SQUASHING: Final = frozenset({"Softmax", "Sigmoid"})
_EXPECTS_LOGITS: Final[Mapping[str, frozenset[str]]] = {
    "LogSoftmax": frozenset({"NllLoss", "NllLoss2D", "NllLossNd"}),  # is a loss's own where one of these follows
    "BinaryCrossEntropyWithLogits": frozenset(),
}
_PASSES: Final = VIEWS | {"ToCopy"}


def squashed_twice(graph: Graph) -> tuple[Operation, str] | None:
    """Return the softmax or sigmoid whose output a loss takes for logits, and that loss; None when there is none."""
    for operation in graph.operations:
        followers = _EXPECTS_LOGITS.get(operation.name)
        if followers is None or (followers and not _followed(graph, operation, followers)):
            continue
        below = _before(graph, operation)
        if below is not None and below.name in _SQUASHING:
            return below, operation.name
    return None


def _followed(graph: Graph, operation: Operation, names: frozenset[str]) -> bool:
    """Return whether an operation's output goes, but for changes of shape, into one of the operations named."""
    waiting = [consumer for consumer, _ in operation.consumers]
    while waiting:
        consumer = graph.operations[waiting.pop()]
        if consumer.name in names:
            return True
        if consumer.name in _PASSES:
            waiting += [above for above, _ in consumer.consumers]
    return False


def _before(graph: Graph, operation: Operation) -> Operation | None:
    """Return what feeds an operation, seen through changes of shape."""
    while operation.edges and operation.edges[0] is not None:
        operation = graph.operations[operation.edges[0][0]]
        if operation.name not in _PASSES:
            return operation
    return None
