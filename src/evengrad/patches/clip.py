"""Bound the gradient between backward and step.

Settings:
    kind: ``norm`` (``nn.utils.clip_grad_norm_``), ``value`` (``nn.utils.clip_grad_value_``) or ``adaptive``.
    threshold: ``norm``: largest l2 norm over the parameters of the optimizer, in loss/W, unscaled; ``value``: largest
        entry, in loss/W; ``adaptive``: largest ratio of a unit's gradient norm to its weight norm (the latter at least
        1e-3), "1"; the last layer, and vectors, are left out of ``adaptive`` clipping. Infinite: a clip that is there
        is removed.

``lines``: of the optimizers (where they are made) or of the steps that are meant; none: every optimizer of the tree,
each for its own parameters. A clip that is there already is given the new threshold; one of another kind is
replaced. With a ``GradScaler`` the clip follows ``scaler.unscale_(optimizer)``, which is added if missing; with
accumulated gradients it stands beside the step, not beside backward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, after, before, before_block, remove, replace, torch_name
from evengrad.patches._loop import (
    Step,
    accumulates,
    backward_before,
    backwards,
    block_of,
    chosen_steps,
    method_calls,
    parameters_expression,
    refuse_sparse,
    steps,
)
from evengrad.patches._move import lone_owner
from evengrad.patches._names import argument, fresh
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number

_FUNCTIONS = {"norm": "clip_grad_norm_", "value": "clip_grad_value_"}
_BOUNDS = {"norm": "max_norm", "value": "clip_value"}
_ADAPTIVE = (
    "def {name}(parameters, clipping):",
    '    """Scale down the gradient of each unit to at most ``clipping`` times the norm of its weights."""',
    "    weights = [p for p in parameters if p.grad is not None and p.ndim > 1]",
    "    for p in weights[:-1]:",
    "        bound = clipping * p.detach().flatten(1).norm(dim=1).clamp_min(1e-3)",
    "        scale = (bound / p.grad.flatten(1).norm(dim=1).clamp_min(1e-6)).clamp_max(1.0)",
    "        p.grad.mul_(scale.view(-1, *[1] * (p.ndim - 1)))",
)


@dataclass(frozen=True)
class Clip(AbstractPatch):
    """Bounds the gradient between backward and step."""

    def write(self, job: Job) -> SourceTree:
        """Give the clips that are there the threshold, or put one before each step that is meant."""
        if not steps(job):
            _instruct(job)
        refuse_sparse(job)
        edits: list[tuple[Source, Edit]] = []
        for step in chosen_steps(job):
            edits += [(step.source, edit) for edit in _clip(job, step)]
        return job.edited(edits)


def _instruct(job: Job) -> None:
    """Say what to do where a trainer makes the steps."""
    kind, bound = job.change.word("kind", "norm"), number(job.change.number("threshold"))
    for source in job.sources:
        for call in source.all(cst.Call):
            if (source.dotted(call.func) or "").rpartition(".")[2] == "Trainer":
                where = job.where(source, source.line(call))
                raise PatchError(
                    f"a trainer makes the steps: at {where} give it gradient_clip_val={bound} and "
                    f"gradient_clip_algorithm={kind!r} (Lightning), or max_grad_norm={bound} (transformers)"
                )
    function = _FUNCTIONS.get(kind, "clip_grad_norm_")
    raise PatchError(
        f"no optimizer's `step()` is in the source given; between backward and the update of the weights, call "
        f"torch.nn.utils.{function}(parameters, {bound})"
    )


def _clip(job: Job, step: Step) -> Iterator[Edit]:
    """Yield the edits that clip before one step."""
    kind = job.change.word("kind", "norm")
    bound = number(job.change.number("threshold"))
    source = step.source
    existing = _existing(step)
    if existing is not None:
        alone = source.small(existing)
        if math.isinf(job.change.number("threshold")) and isinstance(alone, cst.Expr) and alone.value is existing:
            yield remove(source, alone)
            return
        name = (source.dotted(existing.func) or "").rpartition(".")[2]
        if name.rstrip("_") == _FUNCTIONS.get(kind, "").rstrip("_"):
            yield from _rebound(source, existing, step, _BOUNDS[kind], bound)
            return
        first = existing.args[0]
        function, needed = _function(job, step, kind)
        yield replace(source, existing, f"{function}({source.code(first.value)}, {bound})")
        yield from needed
        return
    if math.isinf(job.change.number("threshold")):
        raise PatchError(
            f"nothing clips before the step at {job.where(source, source.line(step.call))}; remove it elsewhere"
        )
    function, needed = _function(job, step, kind)
    yield from needed
    yield from _insert(step, f"{function}({{parameters}}, {bound})")


def _existing(step: Step) -> cst.Call | None:
    """Return the clip between the last backward and a step."""
    source = step.source
    end = source.span(step.call)[0]
    backward = backward_before(step)
    start = source.span(backward)[0] if backward is not None else 0
    inside = source.function(step.call)
    found = [c for c in clips(source) if source.function(c) is inside and start <= source.span(c)[0] < end]
    return found[-1] if found else None


def clips(source: Source) -> list[cst.Call]:
    """Return the calls that clip gradients in a file, in order."""
    names = {"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm", "clip_gradients"}
    return [
        call
        for call in source.all(cst.Call)
        if (source.dotted(call.func) or "").rpartition(".")[2] in names and call.args
    ]


def _rebound(source: Source, call: cst.Call, step: Step, keyword: str, bound: str) -> Iterator[Edit]:
    """Yield the edits of an existing clip's threshold; ``if max_norm is not None:`` before it goes with that name."""
    edit = _new_bound(source, call, keyword, bound)
    given, small = argument(call, keyword, 1), source.small(call)
    owner = lone_owner(source, small) if small is not None else None
    names = {n.value for n in source.within(given.value, cst.Name)} if given is not None else set()
    if small is not None and isinstance(owner, cst.If) and owner not in source.ancestors(step.call):
        tested = {n.value for n in source.within(owner.test, cst.Name)}
        if names & tested:
            start = source.starts[source.lines(owner)[0] - 1]
            first = source.span(small)[0]
            yield Edit(start, first, source.indent_of(source.line(owner)))
    yield edit


def _new_bound(source: Source, call: cst.Call, keyword: str, bound: str) -> Edit:
    """Return the edit of an existing clip's threshold."""
    found = argument(call, keyword, 1)
    if found is None:
        raise PatchError(f"set {keyword} to {bound} in the clip on line {source.line(call)}")
    return replace(source, found.value, bound)


def _function(job: Job, step: Step, kind: str) -> tuple[str, tuple[Edit, ...]]:
    """Return the function that clips, and what must be imported or defined for it."""
    source = step.source
    if kind in _FUNCTIONS:
        accelerator = _accelerator(step)
        if accelerator:
            return f"{accelerator}.{_FUNCTIONS[kind]}", ()
        return torch_name(source, f"torch.nn.utils.{_FUNCTIONS[kind]}", step.call)
    if kind != "adaptive":
        raise PatchError(f"{kind!r} is no kind of clipping; it is one of norm, value, adaptive")
    name = fresh(source, ["clip_gradients_adaptively", "adaptive_gradient_clipping"])
    lines = [line.format(name=name) for line in _ADAPTIVE]
    outer = next(n for n in (step.call, *source.ancestors(step.call)) if source.parents.get(n) is source.module)
    return name, (before_block(source, outer, [*lines, "", ""]),)


def _accelerator(step: Step) -> str:
    """Return the expression of a Hugging Face accelerator that runs backward, or ``""``."""
    backward = backward_before(step)
    if backward is None or not isinstance(backward.func, cst.Attribute):
        return ""
    receiver = step.source.code(backward.func.value)
    return receiver if "accelerator" in receiver.lower() else ""


def _insert(step: Step, clip: str) -> Iterator[Edit]:
    """Yield the edits that put a clip before a step, behind ``unscale_``, or behind backward in a closure."""
    source = step.source
    closure = _closure(step)
    if closure is not None:
        backward = backwards(source, closure)[-1:]
        statement = source.small(backward[0]) if backward else None
        if statement is None:
            raise PatchError(f"in the closure of the step on line {source.line(step.call)}, clip right after backward")
        yield after(source, statement, [clip.format(parameters=parameters_expression(step))])
        return
    lines = [clip.format(parameters=parameters_expression(step))]
    inside = source.function(step.call)
    if step.scaler:
        ready = [
            c
            for c in method_calls(source, "unscale_", inside)
            if c.args and source.code(c.args[0].value) == step.optimizer
        ]
        if not ready:
            lines = [f"{step.scaler}.unscale_({step.optimizer})", *lines]
        elif block_of(source, ready[-1]) is block_of(source, step.call) and (small := source.small(ready[-1])):
            yield after(source, small, lines)
            return
    backward_call = backward_before(step)
    behind = source.small(backward_call) if backward_call is not None and not accumulates(step) else None
    if behind is not None and _adjacent(source, behind, step.statement):
        yield after(source, behind, lines)
    else:
        yield before(source, step.statement, lines)


def _closure(step: Step) -> cst.FunctionDef | None:
    """Return the closure that a step is given."""
    source = step.source
    if not step.call.args or step.scaler:
        return None
    name = source.code(step.call.args[0].value)
    return next((f for f in source.all(cst.FunctionDef) if f.name.value == name and backwards(source, f)), None)


def _adjacent(source: Source, first: cst.BaseSmallStatement, second: cst.BaseSmallStatement) -> bool:
    """Return whether nothing but comments and blank lines lies between two statements on lines of their own."""
    a, b = source.parents[first], source.parents[second]
    if a is b or not isinstance(a, cst.SimpleStatementLine) or not isinstance(b, cst.SimpleStatementLine):
        return False
    block = source.parents[a]
    body = list(block.body) if isinstance(block, cst.IndentedBlock | cst.Module) else []
    places = [i for i, statement in enumerate(body) if statement is a or statement is b]
    return len(places) == 2 and places[1] - places[0] == 1 and len(a.body) == 1


PATCH = Clip()
