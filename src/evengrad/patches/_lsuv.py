"""The lines that give every layer's output unit variance on a first batch."""

from __future__ import annotations

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import Job
from evengrad.patches._data import tensor_behind
from evengrad.patches._init_lines import WEIGHTED, isinstance_of, kinds_of
from evengrad.patches._loop import Maker
from evengrad.patches._names import assignments
from evengrad.patches._source import Source
from evengrad.patches._words import number

_ROWS = 256


def lsuv(job: Job, maker: Maker) -> list[str]:
    """Return the lines that rescale the layers of an optimizer's model, in the order of the forward pass.

    Args:
        job: What is being written.
        maker: The optimizer before which they stand.

    Returns:
        The lines.

    Raises:
        PatchError: No tensor is sure to hold the model's inputs there.
    """
    model = maker.models[0] if len(maker.models) == 1 else ""
    data = _inputs(maker.source, model, maker) if model else None
    where = job.where(maker.source, maker.line)
    if data is None:
        raise PatchError(
            f"before {where}, pass one batch through the model and divide each layer's weight by the standard "
            "deviation of its output, first layer first; which variable holds the inputs cannot be told from the source"
        )
    tolerance = job.change.number("tolerance", 0.1)
    kinds = kinds_of(job.facts, WEIGHTED, ("Linear", "Conv1d", "Conv2d", "Conv3d"))
    test = isinstance_of(maker.source.refer("torch.nn", maker.call) or "nn", kinds, "layer")
    torch = maker.source.refer("torch", maker.call) or "torch"
    moved = f".to(next({model}.parameters()).device)" if "device" in maker.source.text else ""
    return [
        "def unit_variance(layer, inputs, output):",
        "    for _ in range(10):",
        f"        if abs(output.std() - 1) < {number(tolerance)} or output.std() == 0:",
        "            break",
        "        layer.weight.data.div_(output.std())",
        "        output = layer.forward(*inputs)",
        "    return output",
        "",
        f"hooks = [layer.register_forward_hook(unit_variance) for layer in {model}.modules() if {test}]",
        f"with {torch}.no_grad():",
        f"    {model}({data}[:{_ROWS}]{moved})",
        "for hook in hooks:",
        "    hook.remove()",
    ]


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
