"""The lines that scale layers by what they put out on a first batch."""

from __future__ import annotations

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._address import expression, root_of
from evengrad.patches._base import Job
from evengrad.patches._data import tensor_behind
from evengrad.patches._init_lines import WEIGHTED, isinstance_of, kinds_of
from evengrad.patches._loop import Maker
from evengrad.patches._names import assignments
from evengrad.patches._source import Source
from evengrad.patches._words import number

_ROWS = 256
_LSUV = (
    "def unit_variance(layer, inputs, output):",
    "    for _ in range(10):",
    "        if abs(output.std() - 1) < {tolerance} or output.std() == 0:",
    "            break",
    "        layer.weight.data.div_(output.std())",
    "        output = layer.forward(*inputs)",
    "    return output",
)
_DATA_DEPENDENT = (
    "def unit_variance(layer, inputs, output):",
    "    axis = -1 if isinstance(layer, {nn}.Linear) else 1",
    "    units = output.movedim(axis, -1).flatten(0, -2)",
    "    mean, std = units.mean(0), units.std(0).clamp_min(1e-6)",
    "    layer.weight.data.div_(std.view(-1, *[1] * (layer.weight.ndim - 1)))",
    "    if layer.bias is not None:",
    "        layer.bias.data.sub_(mean).div_(std)",
    "    return layer.forward(*inputs)",
)


def on_first_batch(job: Job, maker: Maker) -> list[str]:
    """Return the lines that rescale layers of an optimizer's model, in the order of the forward pass.

    Args:
        job: What is being written; its method is ``lsuv`` or ``data-dependent``.
        maker: The optimizer before which they stand.

    Returns:
        The lines.

    Raises:
        PatchError: No tensor is sure to hold the model's inputs there, or a layer's place in the model is not known.
    """
    model = maker.models[0] if len(maker.models) == 1 else ""
    data = _inputs(maker.source, model, maker) if model else None
    where = job.where(maker.source, maker.line)
    if data is None:
        raise PatchError(
            f"before {where}, pass one batch through the model and divide each layer's weight by the standard "
            "deviation of its output, first layer first; which variable holds the inputs cannot be told from the source"
        )
    torch = maker.source.refer("torch", maker.call) or "torch"
    nn = maker.source.refer("torch.nn", maker.call) or "nn"
    lines = _LSUV if job.change.word("method") == "lsuv" else _DATA_DEPENDENT
    moved = f".to(next({model}.parameters()).device)" if "device" in maker.source.text else ""
    return [
        *(line.format(tolerance=number(job.change.number("tolerance", 0.1)), nn=nn) for line in lines),
        "",
        f"hooks = [layer.register_forward_hook(unit_variance) for layer in {_layers(job, maker, model, nn)}]",
        f"with {torch}.no_grad():",
        f"    {model}({data}[:{_ROWS}]{moved})",
        "for hook in hooks:",
        "    hook.remove()",
    ]


def _layers(job: Job, maker: Maker, model: str, nn: str) -> str:
    """Return what the hooks' comprehension runs over: the layers that are named, else all."""
    kinds = kinds_of(job.facts, WEIGHTED, ("Linear", "Conv1d", "Conv2d", "Conv3d"))
    if not job.change.modules:
        return f"{model}.modules() if {isinstance_of(nn, kinds, 'layer')}"
    roots = [root_of(job, maker, name) for name in job.change.modules]
    if any(root is None for root in roots):
        raise PatchError(
            f"scale {', '.join(job.change.modules)} by their outputs on one batch, before the optimizer is made"
        )
    return "[" + ", ".join(expression(*root) for root in roots if root is not None) + "]"


def _inputs(source: Source, model: str, maker: Maker) -> str | None:
    """Return the variable that the model's inputs are rows of, if it is assigned before the optimizer is made."""
    for call in source.all(cst.Call):
        if source.code(call.func) != model or len(call.args) != 1:
            continue
        name = tensor_behind(source, call.args[0].value)
        made = assignments(source, name, source.function(maker.call)) if name is not None else []
        if name is not None and made and all(source.span(a)[1] < source.span(maker.call)[0] for a in made):
            return name
    return None
