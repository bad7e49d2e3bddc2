"""Add the input of each block to its output.

Settings:
    scale: factor on the block's own output, "1"; 1 unless given.

``modules``: the layers or blocks that get a shortcut; none: every layer whose input and output have the same size, save
the last of the forward pass. A layer's block ends with its activation: ``x = act(layer(x))`` becomes
``x = x + act(layer(x))``; in a Sequential ``layer, act`` becomes ``Residual(layer, act)`` with a small class written
before the user's own. Layers that one call makes can only change together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from evengrad.core.info import ModuleInfo
from evengrad.errors import PatchError
from evengrad.patches._activations import identify
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, before_block, torch_name
from evengrad.patches._init_lines import WEIGHTED
from evengrad.patches._layers import Made, hidden_layers, made, sequence
from evengrad.patches._names import fresh
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number

_FURTHEST = 3  # elements from a layer to its activation: a norm and a dropout may lie between
_KEEPING_SHAPE = ("dropout", "norm", "drop")


@dataclass(frozen=True)
class Skip(AbstractPatch):
    """Adds shortcuts around layers with their activations, or around blocks."""

    def write(self, job: Job) -> SourceTree:
        """Edit the calls in forward, or the elements of Sequentials."""
        names = list(job.change.modules) or [name for name in hidden_layers(job) if _square(job, name)]
        if not names:
            raise PatchError(
                "no layer has as many inputs as outputs; give shortcuts around blocks a linear layer of their own"
            )
        edits: list[tuple[Source, Edit]] = []
        listed: list[str] = []
        done: set[int] = set()
        for name in names:
            info = job.facts.module(name)
            if info is None:
                raise PatchError(f"add a shortcut around `{name}`; no run has told where it is")
            found = _in_forward(job, info)
            if found is None:
                listed.append(name)
            elif id(found[1]) not in done:
                done.add(id(found[1]))
                _refuse_others(job, found[0], info, names)
                edits += [(found[0], edit) for edit in _added(job, found[0], found[1])]
        calls = made(job, listed, "add a shortcut around")
        for call in calls:
            # One class serves the file; it stands before the first use.
            first = min((c.call for c in calls if c.source is call.source), key=call.source.line)
            edits += [(call.source, edit) for edit in _wrapped(job, call, first)]
        return job.edited(edits)


def _square(job: Job, name: str) -> bool:
    """Return whether a layer keeps the size of what it is given."""
    info = job.facts.parameter(f"{name}.weight")
    kind = job.facts.module(name)
    return info is not None and kind is not None and kind.kind in WEIGHTED and info.shape[0] == info.shape[1]


def _factor(job: Job) -> str:
    scale = job.change.number("scale", 1.0)
    return "" if scale == 1.0 else f"{number(scale)} * "


def _in_forward(job: Job, info: ModuleInfo) -> tuple[Source, cst.BaseExpression] | None:
    """Return the expression ``act(layer(x))`` of a statement ``x = act(layer(x))`` on the line that calls a module."""
    path = job.tree.find(info.called)
    if path is None or info.called is None:
        return None
    source = job.source(path)
    last = info.name.rpartition(".")[2]
    for statement in source.all(cst.SimpleStatementLine):
        if info.called.line not in source.lines(statement) or len(statement.body) != 1:
            continue
        small = statement.body[0]
        value = small.value if isinstance(small, cst.Assign | cst.Return) else None
        target = source.code(small.targets[0].target) if isinstance(small, cst.Assign) else None
        chains = [branch for branch in _branches(value) if _is_block(source, branch, target, last)]
        if len(chains) == 1:
            return source, chains[0]
    return None


def _branches(value: cst.BaseExpression | None) -> list[cst.Call]:
    """Return the calls that an expression may be: itself, or the branches of a conditional one."""
    if isinstance(value, cst.IfExp):
        return _branches(value.body) + _branches(value.orelse)
    return [value] if isinstance(value, cst.Call) else []


def _is_block(source: Source, value: cst.Call, target: str | None, last: str) -> bool:
    """Return whether a call is ``act(layer(x))`` of a layer by its name, and is assigned to ``x`` or returned."""
    inner, calls = _innermost(source, value)
    modules = [c for c in calls if not _activation(source, c)]
    return (
        inner == (inner if target is None else target) and len(modules) == 1 and _means(source, modules[0].func, last)
    )


def _means(source: Source, func: cst.BaseExpression, last: str) -> bool:
    """Return whether what is called is a module by its name, or, for one of a list, a loop's variable."""
    if last.isdigit():
        return isinstance(func, cst.Name | cst.Subscript)
    return isinstance(func, cst.Name | cst.Attribute) and source.code(func).rpartition(".")[2] == last


def _innermost(source: Source, value: cst.BaseExpression) -> tuple[str, list[cst.Call]]:
    """Return the variable that a chain of calls with one argument each begins with, and the calls."""
    calls: list[cst.Call] = []
    while isinstance(value, cst.Call):
        calls.append(value)
        method = source.resolve(value.func) is None and isinstance(value.func, cst.Attribute) and not value.args
        if method and isinstance(value.func, cst.Attribute):
            value = value.func.value
        elif value.args and not value.args[0].star:
            value = value.args[0].value
        else:
            return "", calls
    return (source.code(value) if isinstance(value, cst.Name) else ""), calls


def _activation(source: Source, call: cst.Call) -> bool:
    """Return whether a call is an activation, a norm or a dropout: something that keeps the shape."""
    name = source.code(call.func).rpartition(".")[2].lower()
    known = identify(source, call.func) is not None or any(word in name for word in _KEEPING_SHAPE)
    return known or name in {"relu", "tanh", "sigmoid", "act", "activation", "gelu", "elu", "silu", "nonlinearity"}


def _refuse_others(job: Job, source: Source, info: ModuleInfo, names: Sequence[str]) -> None:
    """Raise if the line calls layers that must not get a shortcut."""
    others = [
        other.name
        for other in job.facts.modules
        if other.kind == info.kind and other.called is not None and info.called is not None
        if other.called.line == info.called.line and job.tree.find(other.called) == source.path
        if other.name not in names
    ]
    if others:
        where = job.where(source, info.called.line if info.called is not None else 1)
        raise PatchError(
            f"add a shortcut around `{info.name}` at {where}, but not around {', '.join(others)}, called there too"
        )


def _added(job: Job, source: Source, value: cst.BaseExpression) -> Iterator[Edit]:
    """Yield the edit of ``act(layer(x))``."""
    inner, _ = _innermost(source, value)
    start = source.span(value)[0]
    yield Edit(start, start, f"{inner} + {_factor(job)}")


def _wrapped(job: Job, found: Made, first_use: cst.Call) -> Iterator[Edit]:
    """Yield the edits of ``layer, act`` in a Sequential; the class is defined before ``first_use``."""
    source, call = found.source, found.call
    where = job.where(source, source.line(call))
    elements = sequence(source, call)
    if elements is None or not all(_square(job, info.name) for info in found.layers):
        raise PatchError(f"add the input of `{found.layers[0].name}` (made at {where}) to its output in forward")
    values = [element.value for element in elements]
    first = next(index for index, value in enumerate(values) if value is call)
    stop = next(
        (i for i in range(first + 1, min(len(values), first + 1 + _FURTHEST)) if _is_activation(source, values[i])),
        None,
    )
    if stop is None:
        raise PatchError(f"add the input of `{found.layers[0].name}` (made at {where}) to the output of its activation")
    name, definition = _class(job, source, first_use)
    yield from definition
    start, end = source.span(call)[0], source.outer_end(values[stop])
    yield Edit(start, start, f"{name}(", once=False)
    # A pair in parentheses that becomes one element needs its comma to stay a tuple.
    alone = stop - first + 1 == len(values) and isinstance(source.parents[elements[0]], cst.Tuple)
    yield Edit(end, end, ")," if alone and "," not in source.text[end : end + 1] else ")", once=False)


def _is_activation(source: Source, value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Call) and identify(source, value.func) is not None


def _class(job: Job, source: Source, at: cst.Call) -> tuple[str, tuple[Edit, ...]]:
    """Return the name of the class for blocks with a shortcut, and the edits that define it."""
    name = fresh(source, ["Residual", "Shortcut"])
    base, needed = torch_name(source, "torch.nn.Sequential", at)
    outer = next(n for n in (at, *source.ancestors(at)) if source.parents.get(n) is source.module)
    lines = [
        f"class {name}({base}):",
        "    def forward(self, x):",
        f"        return x + {_factor(job)}super().forward(x)",
        "",
        "",
    ]
    return name, (before_block(source, outer, lines), *needed)


PATCH = Skip()
