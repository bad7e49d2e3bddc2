"""Where layers are made in source, and what else the same line makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from evengrad.core.info import ModuleInfo
from evengrad.errors import PatchError
from evengrad.patches._base import Job
from evengrad.patches._init_lines import WEIGHTED
from evengrad.patches._names import argument
from evengrad.patches._repeats import makers_of
from evengrad.patches._source import Source


@dataclass(frozen=True, eq=False)
class Made:
    """A constructor call, and the layers that it makes, in the order of the run."""

    source: Source
    call: cst.Call
    layers: tuple[ModuleInfo, ...]

    @property
    def kind(self) -> str:
        """The class of the layers, ``Linear``."""
        return self.layers[0].kind


def hidden_layers(job: Job) -> list[str]:
    """Return the names of the layers that an activation follows: all but the last of the forward pass."""
    kinds = {info.name: info.kind for info in job.facts.modules}
    layers = [site.module for site in job.facts.layers if kinds.get(site.module) in WEIGHTED]
    return list(dict.fromkeys(layers))[:-1]


def made(job: Job, names: Sequence[str], action: str) -> list[Made]:
    """Return the constructor calls of some layers.

    Args:
        job: What is being written.
        names: The layers.
        action: What is to be done with them, for messages: "put a LayerNorm behind".

    Returns:
        The calls, each with its layers.

    Raises:
        PatchError: A layer's line is not known, or makes other layers as well.
    """
    by_call: dict[int, Made] = {}
    for name in names:
        info = job.facts.module(name)
        path = job.tree.find(info.defined) if info is not None else None
        if info is None or info.defined is None or path is None:
            raise PatchError(f"{action} `{name}`; where it is made is not known")
        source = job.source(path)
        call = _constructor(job, source, info)
        if call is None:
            raise PatchError(f"{action} `{name}`, made at {job.where(source, info.defined.line)}")
        old = by_call.get(id(call))
        by_call[id(call)] = Made(source, call, (*(old.layers if old else ()), info))
    for found in by_call.values():
        _refuse_others(job, found, names, action)
    return list(by_call.values())


def _constructor(job: Job, source: Source, info: ModuleInfo) -> cst.Call | None:
    """Return the call that makes a layer; among several on its line, by order."""
    if info.defined is None:
        return None
    calls = [c for c in source.calls_on(info.defined.line) if source.resolve(c.func) == f"torch.nn.{info.kind}"]
    calls = [c for c in calls if source.head_line(c) == info.defined.line] or calls
    if len(calls) < 2:
        return calls[0] if calls else None
    same = [m.name for m in _beside(job, source, info)]
    order = makers_of(source, calls, len(same))
    return calls[order[same.index(info.name)]] if order is not None else None


def _beside(job: Job, source: Source, info: ModuleInfo) -> Iterator[ModuleInfo]:
    """Yield the modules of a kind that are made on the same line, in order."""
    for other in job.facts.modules:
        same = other.defined is not None and info.defined is not None and other.defined.line == info.defined.line
        if same and other.kind == info.kind and job.tree.find(other.defined) == source.path:
            yield other


def _refuse_others(job: Job, found: Made, names: Sequence[str], action: str) -> None:
    """Raise if a call makes layers that must stay as they are."""
    others = [
        other.name
        for other in _beside(job, found.source, found.layers[0])
        if other.name not in names and _constructor(job, found.source, other) is found.call
    ]
    if others:
        where = job.where(found.source, found.source.line(found.call))
        chosen = ", ".join(info.name for info in found.layers)
        raise PatchError(
            f"{action} {chosen} at {where}, but not {', '.join(others)}, which the same call makes: make them apart"
        )


def outputs(found: Made) -> str | None:
    """Return the expression of a layer's number of outputs."""
    keyword = "out_features" if found.kind == "Linear" else "out_channels"
    given = argument(found.call, keyword, 1)
    return found.source.code(given.value) if given is not None else None


def sequence(source: Source, call: cst.Call) -> Sequence[cst.Arg] | Sequence[cst.BaseElement] | None:
    """Return the elements beside a constructor call that become those of one Sequential; None if that is not sure."""
    parent = source.parents.get(call)
    owner = source.parents.get(parent) if parent is not None else None
    if isinstance(parent, cst.Arg) and isinstance(owner, cst.Call):
        return owner.args if source.resolve(owner.func) == "torch.nn.Sequential" else None
    if isinstance(parent, cst.BaseElement) and isinstance(owner, cst.List | cst.Tuple):
        return owner.elements if _feeds_sequential(source, owner) else None
    return None


def _feeds_sequential(source: Source, literal: cst.List | cst.Tuple) -> bool:
    """Return whether a list's elements are unpacked into a Sequential."""
    for parent in source.ancestors(literal):
        if isinstance(parent, cst.Call):
            name = source.resolve(parent.func)
            if name == "torch.nn.Sequential":
                return True
            if isinstance(parent.func, cst.Attribute) and parent.func.attr.value in {"extend", "append"}:
                return _unpacked(source, source.code(parent.func.value))
            if name is not None:
                return False
        if isinstance(parent, cst.Assign | cst.AugAssign | cst.AnnAssign):
            target = parent.targets[0].target if isinstance(parent, cst.Assign) else parent.target
            return _unpacked(source, source.code(target))
        if isinstance(parent, cst.BaseStatement):
            return False
    return False


def _unpacked(source: Source, name: str) -> bool:
    """Return whether a list is given to a Sequential by ``*``."""
    return any(
        source.resolve(call.func) == "torch.nn.Sequential"
        and any(arg.star == "*" and source.code(arg.value) == name for arg in call.args)
        for call in source.all(cst.Call)
    )


def appended(source: Source, call: cst.Call) -> tuple[str, cst.BaseSmallStatement] | None:
    """Return list and statement of ``layers.append(nn.Linear(…))`` whose list becomes a Sequential."""
    arg = source.parents.get(call)
    owner = source.parents.get(arg) if isinstance(arg, cst.Arg) else None
    if (
        not isinstance(owner, cst.Call)
        or not isinstance(owner.func, cst.Attribute)
        or owner.func.attr.value != "append"
    ):
        return None
    name, statement = source.code(owner.func.value), source.small(owner)
    return (name, statement) if statement is not None and _unpacked(source, name) else None
