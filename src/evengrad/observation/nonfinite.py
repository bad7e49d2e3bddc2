"""Where a non-finite number was made, read from what the autograd graph has saved; runs nothing of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evengrad.observation.graph import Graph, Operation
from evengrad.observation.operations import VIEWS
from evengrad.probes._base import NodeView
from evengrad.probes._sizes import plain

# The operand that each edge of an operation stands for, by the name under which it is saved.
_OPERANDS: dict[str, tuple[str | None, ...]] = {
    "Mul": ("self", "other"),
    "Div": ("self", "other"),
    "Addmm": (None, "mat1", "mat2"),
    "Mm": ("self", "mat2"),
    "Bmm": ("self", "mat2"),
    "Linear": ("input", "weight"),
    "Convolution": ("input", "weight"),
    "MseLoss": ("self", "target"),
    "BinaryCrossEntropy": ("self", "target"),
    "BinaryCrossEntropyWithLogits": ("self", "target"),
    "Where": (None, None),
    "Atan2": ("self", "other"),
    "Dot": ("self", "tensor"),
    "NativeLayerNorm": ("input",),
    "NativeBatchNorm": ("input",),
}
_RESULTS = ("result", "result0", "output")
_RECOMPUTE: dict[str, Callable[[Tensor], Tensor]] = {
    "Log": torch.log,
    "Log1P": torch.log1p,
    "Log2": torch.log2,
    "Log10": torch.log10,
    "Acos": torch.acos,
    "Asin": torch.asin,
    "Lgamma": torch.lgamma,
    "Digamma": torch.digamma,
    "Square": torch.square,
    "Logit": torch.logit,
    "Erfinv": torch.erfinv,
}


# Operations of one operand that make no number non-finite that was finite.
_PASSIVE = frozenset(
    "Relu LeakyRelu Hardtanh Clamp ClampMin ClampMax NativeDropout MaxPool2DWithIndices Neg Abs Tanh Sigmoid Amax Max "
    "MaskedFill Index IndexSelect Gather".split()
)
# Operations whose derivative is not finite somewhere that their value is.
SINGULAR = frozenset(
    "Sqrt Rsqrt Pow Div Norm LinalgVectorNorm Std Var StdMean VarMean Log Log1P Log2 Log10 Acos Asin Acosh Atanh Atan2 "
    "Reciprocal Cdist EuclideanDist Logit Erfinv Prod Cumprod Lgamma Digamma Xlogy Hypot LinalgSvd LinalgEigh".split()
)


@dataclass(frozen=True)
class Origin:
    """The first operation whose inputs were finite and whose output was not, as far as saved tensors tell.

    ``phase`` is ``"forward"``, or ``"data"`` (the batch itself), or ``"update"`` (the weights already were).
    """

    phase: str
    operation: Operation | None
    inputs: str
    certainty: str
    parameters: tuple[str, ...] = ()
    dtype: str = ""  # number format that the operation worked in


def all_finite(tensor: Tensor) -> bool:
    """Return whether every entry of a tensor is finite."""
    tensor = plain(tensor.detach())
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def find_origin(
    graph: Graph, readable: Callable[[Operation], bool], named: Iterable[tuple[str, Tensor]]
) -> Origin | None:
    """Return where non-finite numbers come from in a forward pass; None when the saved tensors do not tell.

    Args:
        graph: The operations from the loss down.
        readable: Whether the saved tensors of an operation may be unpacked.
        named: Parameters by name.
    """
    bad = tuple(name for name, parameter in named if not all_finite(parameter))
    if bad:
        return Origin("update", None, "", "certain", bad)
    views = {
        index: NodeView(op.node, op.name, op.site, readable(op))
        for index in graph.data()
        for op in [graph.operations[index]]
    }
    order = sorted(views, key=lambda index: graph.operations[index].sequence)
    outputs = {index: _output(graph, views, index) for index in order}
    _trace_back(graph, order, outputs)
    for index in order:
        operation = graph.operations[index]
        operands = _operands(views[index])
        poisoned = any(edge is not None and outputs.get(edge[0]) is False for edge in operation.edges)
        if operation.is_layer and not poisoned and any(not all_finite(t) for t in operands) and None in operation.edges:
            return Origin("data", operation, _ranges(operands), "certain", dtype=_format(operation))
        if outputs[index] is False and not poisoned:
            clean = all(all_finite(tensor) for tensor in operands)
            certainty = "certain" if operands and clean else "likely"
            dtype = _format(operation) if certainty == "certain" else _narrowest(graph, index, outputs)
            return Origin("forward", operation, _ranges(operands), certainty, dtype=dtype)
    return None


def _format(operation: Operation) -> str:
    """Return the number format of an operation's output; a factor such as 400.0 is saved in one of its own."""
    outputs = operation.node._input_metadata  # what flows into the derivative is shaped like what the operation made
    return str(outputs[0].dtype).removeprefix("torch.") if outputs else ""


def _narrowest(graph: Graph, index: int, outputs: dict[int, bool | None]) -> str:
    """Return float16 if the number may have been lost in it on the way to an operation, else the operation's format.

    On the way are the operations below whose output nothing saved tells of.
    """
    waiting, seen = [index], {index}
    while waiting:
        operation = graph.operations[waiting.pop()]
        if _format(operation) == "float16":
            return "float16"
        below = {edge[0] for edge in operation.edges if edge is not None} - seen
        seen |= below
        waiting += [known for known in below if known in outputs and outputs[known] is None]
    return _format(graph.operations[index])


def _trace_back(graph: Graph, order: list[int], outputs: dict[int, bool | None]) -> None:
    """Mark what feeds an operation that only passes numbers on, where its own output is not finite."""
    for index in reversed(order):
        operation = graph.operations[index]
        below = [edge[0] for edge in operation.edges if edge is not None]
        passive = operation.name in _PASSIVE or operation.name in VIEWS
        if outputs[index] is False and passive and len(below) == 1 and outputs.get(below[0]) is None:
            outputs[below[0]] = False


def _operands(view: NodeView) -> list[Tensor]:
    """Return the saved inputs of an operation."""
    names = {name for name in _OPERANDS.get(view.operation, ("self", "other", "input")) if name} | {"self"}
    return [tensor for name in sorted(names) if (tensor := view.saved(name)) is not None]


def _output(graph: Graph, views: dict[int, NodeView], index: int) -> bool | None:
    """Return whether an operation's output is finite; None when nothing saved tells."""
    view = views[index]
    for name in _RESULTS:
        if (result := view.saved(name)) is not None:
            return all_finite(result)
    for consumer, edge in graph.operations[index].consumers:
        names = _OPERANDS.get(graph.operations[consumer].name, ("self",))
        saved_as = names[edge] if edge < len(names) else None
        if saved_as and consumer in views and (operand := views[consumer].saved(saved_as)) is not None:
            return all_finite(operand)
    product = _product(view)
    if product is not None:
        return all_finite(product)
    saved = view.saved("self")
    if saved is None:
        return None
    if view.operation == "Pow":
        return all_finite(saved.detach().pow(view.attribute("exponent", 1.0)))
    recompute = _RECOMPUTE.get(view.operation)
    if recompute is not None:
        return all_finite(recompute(saved.detach()))
    if view.operation == "Div" and (other := view.saved("other")) is not None:
        return all_finite(saved.detach() / other.detach())
    return None


def _product(view: NodeView) -> Tensor | None:
    """Return a matrix product again, where both factors were saved."""
    names = {"Mm": ("self", "mat2"), "Addmm": ("mat1", "mat2"), "Bmm": ("self", "mat2")}.get(view.operation)
    if names is None:
        return None
    left, right = view.saved(names[0]), view.saved(names[1])
    return left.detach() @ right.detach() if left is not None and right is not None else None


def _ranges(tensors: Sequence[Tensor]) -> str:
    """Return the ranges of tensors in words."""
    parts = []
    for tensor in tensors:
        values = plain(tensor.detach())
        if values.numel() and values.is_floating_point():
            low, high = (
                values.aminmax() if all_finite(values) else (values.nan_to_num().min(), values.nan_to_num().max())
            )
            parts.append(f"[{float(low):.4g}, {float(high):.4g}]")
    return ", ".join(parts)
