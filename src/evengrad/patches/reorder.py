"""Put the calls of the training loop in order.

Settings:
    fault: an event's name:

        - ``zero-grad-missing``: ``optimizer.zero_grad()`` goes right before ``backward``; where gradients accumulate
          over several of them, right after the step.
        - ``zero-grad-before-step``: zero_grad between backward and step moves to right before backward.
        - ``clip-before-backward``: the clip moves to right after backward (before the step when gradients accumulate).
        - ``clip-after-step``: the clip moves to right before the step.
        - ``clip-before-unscale``: ``scaler.unscale_(optimizer)`` is put right before the clip.
        - ``double-step``: the second of two steps is removed.
        - ``step-without-backward``: a step before backward moves behind it.

``lines``: of the calls that came at the wrong place, or of the optimizer; none: found from the order in the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import libcst as cst

from evengrad.core.event import EventKind
from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, after, before, remove, replace
from evengrad.patches._loop import (
    Step,
    accumulates,
    backward_before,
    backwards,
    chosen_steps,
    last_of_step,
    method_calls,
    steps,
)
from evengrad.patches._move import lone_owner, move, unconditional
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches.clip import clips

_Edits = Iterator[tuple[Source, Edit]]


@dataclass(frozen=True)
class Reorder(AbstractPatch):
    """Moves, adds or removes calls of the loop."""

    def write(self, job: Job) -> SourceTree:
        """Repair one fault in the order of calls."""
        fault = job.change.word("fault")
        if fault not in _REPAIRS:
            raise PatchError(
                f"{fault!r} is no order of calls known here; put zero_grad, backward, clip and step in this order"
            )
        repair, instruction = _REPAIRS[fault]
        edits = list(repair(job))
        if not edits:
            found = steps(job)
            where = job.where(found[0].source, found[0].source.line(found[0].call)) if found else "the training loop"
            raise PatchError(f"near {where}: {instruction}")
        return job.edited(edits)


def _zero_grad(job: Job) -> _Edits:
    """Zero the gradients before backward, or behind a step that several backward passes lead to."""
    for source in job.sources:
        for node in source.all(cst.Expr):
            # `optimizer.zero_grad` without its parentheses does nothing.
            if isinstance(node.value, cst.Attribute) and node.value.attr.value == "zero_grad":
                yield source, replace(source, node.value, f"{source.code(node.value)}()")
                return
    for step in chosen_steps(job):
        source, backward = step.source, backward_before(step)
        statement = source.small(backward) if backward is not None else None
        line = f"{step.optimizer}.zero_grad()"
        if statement is None or accumulates(step):
            last = last_of_step(step)
            yield source, after(source, last, [line])
        else:
            yield source, before(source, statement, [line])


def _zeroed_too_early(job: Job) -> _Edits:
    """Move zero_grad from between backward and step to before backward."""
    for step in chosen_steps(job):
        source, backward = step.source, backward_before(step)
        anchor = source.small(backward) if backward is not None else None
        if backward is None or anchor is None:
            continue
        calls = method_calls(source, "zero_grad", source.function(step.call))
        between = [c for c in calls if source.span(backward)[0] < source.span(c)[0] < source.span(step.call)[0]]
        for call in between:
            if isinstance(call.func, cst.Attribute) and (small := source.small(call)) is not None:
                receiver = source.code(call.func.value)
                if receiver == step.optimizer or len(between) == 1:
                    yield from ((source, edit) for edit in move(source, small, anchor, behind=False))


def _clip_behind_backward(job: Job) -> _Edits:
    """Move clips from before backward to behind it, or to before the step when gradients accumulate."""
    for step in chosen_steps(job):
        source, backward = step.source, backward_before(step)
        anchor = source.small(backward) if backward is not None else None
        if backward is None or anchor is None:
            continue
        for clip in _clips(step):
            small = source.small(clip)
            passes = backwards(source, source.function(step.call))
            earlier = [c for c in passes if source.span(c)[0] < source.span(clip)[0]]
            if small is None or earlier or source.span(clip)[0] > source.span(backward)[0]:
                continue
            target, behind = (step.statement, False) if accumulates(step) else (anchor, True)
            if step.scaler and not accumulates(step):
                target, behind = _unscaled(step) or anchor, True
            yield from ((source, edit) for edit in move(source, small, target, behind=behind))


def _unscaled(step: Step) -> cst.BaseSmallStatement | None:
    source = step.source
    found = method_calls(source, "unscale_", source.function(step.call))
    return source.small(found[-1]) if found else None


def _clips(step: Step) -> list[cst.Call]:
    source = step.source
    return [call for call in clips(source) if source.function(call) is source.function(step.call)]


def _clip_before_step(job: Job) -> _Edits:
    """Move clips from behind the step to before it."""
    for step in chosen_steps(job):
        source = step.source
        end = source.span(step.call)[1]
        following = [s for s in steps(job) if s.source is source and source.span(s.call)[0] > end]
        limit = source.span(following[0].call)[0] if following else len(source.text)
        passes = [source.span(c)[0] for c in backwards(source, source.function(step.call)) if source.span(c)[0] > end]
        limit = min([limit, *passes])
        for clip in _clips(step):
            small = source.small(clip)
            if small is not None and end < source.span(clip)[0] < limit:
                yield from ((source, edit) for edit in move(source, small, step.statement, behind=False))


def _unscale_before_clip(job: Job) -> _Edits:
    """Unscale right before the clip; an unscale behind it moves."""
    for step in chosen_steps(job):
        source, found = step.source, _clips(step)
        if not step.scaler or not found:
            continue
        clip = next((c for c in found if source.span(c)[0] < source.span(step.call)[0]), found[0])
        small = source.small(clip)
        calls = method_calls(source, "unscale_", source.function(step.call))
        earlier = [call for call in calls if source.span(call)[0] < source.span(clip)[0]]
        if small is None or earlier:
            yield from ((source, edit) for call in earlier for edit in _always(source, call, clip))
            continue
        for call in calls:
            late = source.small(call)
            if late is not None and source.span(call)[0] > source.span(clip)[0]:
                yield source, remove(source, late)
        yield source, before(source, small, [f"{step.scaler}.unscale_({step.optimizer})"])


def _always(source: Source, call: cst.Call, clip: cst.Call) -> Iterator[Edit]:
    """Yield the edits that take a call before a clip out of the condition that kept it from running."""
    small = source.small(call)
    owner = lone_owner(source, small) if small is not None else None
    if small is not None and isinstance(owner, cst.If) and owner not in source.ancestors(clip):
        yield from unconditional(source, small)


def _second_step(job: Job) -> _Edits:
    """Remove the second of two steps on the same gradients; a scaler's step stays."""
    found = steps(job)
    for step in found:
        loop, backward = lone_owner(step.source, step.statement), backward_before(step)
        if isinstance(loop, cst.For) and backward is not None and loop not in step.source.ancestors(backward):
            yield from ((step.source, edit) for edit in unconditional(step.source, step.statement))
    for first, second in pairwise(found):
        source = first.source
        if second.source is not source or first.optimizer != second.optimizer:
            continue
        inside = source.function(first.call)
        start, end = source.span(first.call)[0], source.span(second.call)[0]
        between = any(start < source.span(call)[0] < end for call in backwards(source, inside))
        if source.function(second.call) is inside and not between:
            surplus = first if second.scaler and not first.scaler else second
            yield source, remove(source, surplus.statement)


def _step_behind_backward(job: Job) -> _Edits:
    """Move a step that comes before backward behind it."""
    for step in chosen_steps(job):
        source = step.source
        inside = backwards(source, source.function(step.call))
        start = source.span(step.call)[0]
        later = [call for call in inside if source.span(call)[0] > start]
        earlier = [call for call in inside if source.span(call)[0] < start]
        if not later or earlier or (anchor := source.small(later[0])) is None:
            continue
        yield from ((source, edit) for edit in move(source, step.statement, anchor, behind=True))


_REPAIRS: dict[str, tuple[Callable[[Job], _Edits], str]] = {
    EventKind.ZERO_GRAD_MISSING.value: (_zero_grad, "call `zero_grad()` once per step, before backward"),
    EventKind.ZERO_GRAD_BEFORE_STEP.value: (
        _zeroed_too_early,
        "move `zero_grad()` from between backward and step to before backward",
    ),
    EventKind.CLIP_BEFORE_BACKWARD.value: (_clip_behind_backward, "move the clip behind backward"),
    EventKind.CLIP_AFTER_STEP.value: (_clip_before_step, "move the clip to between backward and step"),
    EventKind.CLIP_BEFORE_UNSCALE.value: (
        _unscale_before_clip,
        "call `scaler.unscale_(optimizer)` right before the clip",
    ),
    EventKind.DOUBLE_STEP.value: (_second_step, "step once for each backward pass"),
    EventKind.STEP_WITHOUT_BACKWARD.value: (_step_behind_backward, "call backward on the loss before the step"),
}

PATCH = Reorder()
