"""Compute in another number format.

Settings:
    dtype: ``float32``: half and bfloat16 conversions of models and data (``.half()``, ``.bfloat16()``,
        ``.to(torch.float16)``, ``dtype=torch.bfloat16``, ``set_default_dtype``) are removed or become float32,
        ``autocast`` and ``GradScaler`` get ``enabled=False``; ``bfloat16``: float16 becomes bfloat16, GradScaler gets
        ``enabled=False``; ``float16``: bfloat16 becomes float16 (no scaler is added).
    what: ``all`` (unless given), ``autocast`` or ``weights``: conversions of one kind only.

``lines``: where; none: the whole tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, replace
from evengrad.patches._names import argument, targets_of
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree

_HALVES = {"half": "float16", "bfloat16": "bfloat16"}
_TYPES = {"torch.half": "float16", "torch.float16": "float16", "torch.bfloat16": "bfloat16"}
_REPLACED = {"float32": {"float16", "bfloat16"}, "bfloat16": {"float16"}, "float16": {"bfloat16"}}


@dataclass(frozen=True)
class Precision(AbstractPatch):
    """Removes or changes conversions to short formats."""

    def write(self, job: Job) -> SourceTree:
        """Edit every conversion that is meant."""
        to = job.change.word("dtype", "float32")
        if to not in _REPLACED:
            raise PatchError(f"{to!r} is none of float32, bfloat16, float16; choose one of them")
        lines = {(job.tree.find(line), line.line) for line in job.change.lines}
        edits: list[tuple[Source, Edit]] = []
        for source in job.sources:
            for call in source.all(cst.Call):
                if lines and not any((source.path, number) in lines for number in source.lines(call)):
                    continue
                edits += [(source, edit) for edit in _converted(job, source, call, to)]
        if not lines or not edits:
            edits += [(source, edit) for source in job.sources for edit in _named(job, source, to)]
        if not edits:
            raise PatchError(
                f"no conversion to a short number format is in the source given; compute in {to} where it is"
            )
        return job.edited(edits)


def _converted(job: Job, source: Source, call: cst.Call, to: str) -> Iterator[Edit]:
    """Yield the edits of one call."""
    what = job.change.word("what", "all")
    name = (source.resolve(call.func) or source.dotted(call.func) or "").rpartition(".")[2]
    if isinstance(call.func, cst.Attribute) and not name:
        name = call.func.attr.value
    if name in {"autocast", "GradScaler"}:
        if what in {"all", "autocast"}:
            yield from _autocast(source, call, name, to)
    elif what in {"all", "weights"}:
        yield from _weights(source, call, name, to)


def _named(job: Job, source: Source, to: str) -> Iterator[Edit]:
    """Yield the edits of formats that have a name: defaults of arguments and values of variables.

    The dtype of an autocast is none of them: where it is switched off, its format has no effect.
    """
    if job.change.word("what", "all") == "autocast":
        return
    for node in source.all(cst.Attribute):
        if _TYPES.get(source.resolve(node) or "", "") not in _REPLACED[to]:
            continue
        holder = source.parents[node]
        if isinstance(holder, cst.IfExp):
            holder = source.parents[holder]
        if isinstance(holder, cst.Param):
            names = [holder.name.value]
        elif isinstance(holder, cst.Assign | cst.AnnAssign):
            names = targets_of(source, node)
        else:
            continue
        if not all(_only_autocast(source, name) for name in names):
            yield from _type(source, node, to)


def _only_autocast(source: Source, name: str) -> bool:
    """Return whether a variable is used as the dtype of an autocast, and for nothing else."""
    uses = [arg for arg in source.all(cst.Arg) if source.code(arg.value) == name]
    calls = [source.parents[arg] for arg in uses]
    return bool(calls) and all(
        isinstance(call, cst.Call) and (source.dotted(call.func) or "").rpartition(".")[2] == "autocast"
        for call in calls
    )


def _autocast(source: Source, call: cst.Call, name: str, to: str) -> Iterator[Edit]:
    """Yield the edits of ``autocast(…)`` and ``GradScaler(…)``."""
    given = argument(call, "dtype") or argument(call, "dtype", 1)
    used = _TYPES.get(source.resolve(given.value) or "", "") if given is not None else ""
    if name == "autocast" and to != "float32":
        if given is not None and used in _REPLACED[to]:
            yield from _type(source, given.value, to)
        elif given is None and "cpu" not in source.code(call) and to == "bfloat16":
            # On an accelerator autocast means float16 unless told otherwise.
            yield _added(source, call, f"dtype={source.refer('torch', call) or 'torch'}.bfloat16")
        return
    if to == "float16":
        return
    enabled = argument(call, "enabled")
    if enabled is not None:
        yield replace(source, enabled.value, "False")
    else:
        yield _added(source, call, "enabled=False")


def _added(source: Source, call: cst.Call, text: str) -> Edit:
    if not call.args:
        end = source.span(call)[1] - 1
        return Edit(end, end, text)
    end = source.span(call.args[-1])[1]
    return Edit(end, end, f", {text}")


def _type(source: Source, node: cst.BaseExpression, to: str) -> Iterator[Edit]:
    """Yield the edit of ``torch.float16``."""
    if isinstance(node, cst.Attribute):
        yield replace(source, node.attr, to)
    else:
        torch = source.refer("torch", node)
        if torch is None:
            raise PatchError(f"on line {source.line(node)}, use torch.{to}")
        yield replace(source, node, f"{torch}.{to}")


def _weights(source: Source, call: cst.Call, name: str, to: str) -> Iterator[Edit]:
    """Yield the edits of conversions of models and tensors."""
    if name in _HALVES and isinstance(call.func, cst.Attribute) and not call.args:
        if _HALVES[name] in _REPLACED[to]:
            if to == "float32":
                yield from _unconverted(source, call)
            else:
                yield replace(source, call.func.attr, "bfloat16" if to == "bfloat16" else "half")
        return
    for arg in call.args:
        used = _TYPES.get(source.resolve(arg.value) or "", "")
        if used not in _REPLACED[to]:
            continue
        if name == "to" and to == "float32" and arg.keyword is None and len(call.args) == 1:
            yield from _unconverted(source, call)
        else:
            yield from _type(source, arg.value, to)


def _unconverted(source: Source, call: cst.Call) -> Iterator[Edit]:
    """Yield the edit that takes ``.half()`` away; a statement that is nothing else becomes ``.float()``."""
    if not isinstance(call.func, cst.Attribute):
        return
    start, end = source.outer_end(call.func.value), source.span(call)[1]
    parent = source.parents[call]
    alone = isinstance(parent, cst.Expr) or (
        isinstance(parent, cst.Assign) and source.code(parent.targets[0].target) == source.code(call.func.value)
    )
    yield Edit(start, end, ".float()" if alone else "")


PATCH = Precision()
