"""The script's own initialisation, and how it is rewritten in place."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import Job
from evengrad.patches._edit import Edit, replace, torch_name
from evengrad.patches._init_lines import draw_of
from evengrad.patches._source import Source
from evengrad.patches._words import number

_IN_PLACE = ("normal_", "uniform_", "fill_", "zero_", "mul_", "copy_", "div_", "trunc_normal_")
_ONE_TENSOR = ("xavier", "he", "lecun", "orthogonal", "critical", "recurrent", "bias")


@dataclass(frozen=True, eq=False)
class InitCall:
    """A call that sets a parameter's values; ``tensor`` is the parameter's expression."""

    source: Source
    call: cst.Call
    tensor: str

    @property
    def of_bias(self) -> bool:
        """Whether the parameter is a bias by its name."""
        return "bias" in self.tensor and "weight" not in self.tensor

    @property
    def of_weight(self) -> bool:
        """Whether the parameter is a weight by its name."""
        return "weight" in self.tensor or self.tensor.rpartition(".")[2] in {"W", "w", "U", "V"}


def init_calls(source: Source) -> list[InitCall]:
    """Return the calls of a file that set parameters' values, in order."""
    found = []
    for call in source.all(cst.Call):
        name = source.resolve(call.func) or ""
        if name.startswith("torch.nn.init.") and call.args:
            found.append(InitCall(source, call, source.code(call.args[0].value).removesuffix(".data")))
        elif isinstance(call.func, cst.Attribute) and call.func.attr.value in _IN_PLACE:
            value = source.code(call.func.value)
            plain = value.removesuffix(".data")
            if plain != value or "weight" in plain.rpartition(".")[2] or "bias" in plain.rpartition(".")[2]:
                found.append(InitCall(source, call, plain))
    return found


def in_place(job: Job) -> list[tuple[Source, Edit]]:
    """Return the edits of the script's own initialisation, none if the change does not mean it.

    Args:
        job: Its change names lines of such calls, or says ``replace``.

    Returns:
        The edits.

    Raises:
        PatchError: ``replace`` is wanted, and there is nothing of the kind, or it cannot be rewritten.
    """
    method = job.change.word("method", "he")
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    everywhere = [found for source in job.sources for found in init_calls(source)]
    chosen = [c for c in everywhere if any((c.source.path, n) in lines for n in c.source.lines(c.call))]
    wanted = bool(dict(job.change.settings).get("replace", False))
    if not chosen and wanted:
        chosen = [c for c in everywhere if (c.of_bias if method == "bias" else not c.of_bias)]
        chosen = [c for c in chosen if "zeros_" not in (c.source.dotted(c.call.func) or "") or method == "bias"]
    if not chosen and not wanted:
        return []
    if not chosen or method not in _ONE_TENSOR:
        places = ", ".join(f"{job.tree.shown(path or '')}:{line}" for path, line in lines) or "the source given"
        raise PatchError(f"no initialisation that can become {method} is at {places}; put {method} behind it by hand")
    return [(call.source, edit) for call in chosen for edit in _rewritten(job, call)]


def _rewritten(job: Job, found: InitCall) -> list[Edit]:
    """Return the edits that draw a parameter by the change's method."""
    source = found.source
    nn, needed = torch_name(source, "torch.nn", found.call)
    draw = draw_of(job.change, nn)
    if draw.method == "bias":
        value = 0.0 if draw.bias != draw.bias else draw.bias
        text = f"{nn}.init.constant_({found.tensor}, {number(value)})" if value else f"{nn}.init.zeros_({found.tensor})"
    else:
        text = draw.weight(found.tensor, found.tensor)[0]
        if not found.of_weight:
            # ``for p in model.parameters()``: biases have no fan-in.
            text = f"{text} if {found.tensor}.ndim > 1 else {nn}.init.zeros_({found.tensor})"
    return [replace(source, found.call, text), *needed]
