"""Raise the learning rate linearly over the first steps.

Settings:
    steps: of the optimizer, until the rate is whole; at step t = 0, 1, … it is ``lr * min(1, (t + 1) / steps)``.

``lines``: where the optimizers are made; none: all. Written as a ``LambdaLR`` right after the optimizer, stepped right
after ``optimizer.step()``. A ``LambdaLR`` that is stepped there already gets the ramp as a factor; another scheduler
stepped there goes into a ``SequentialLR`` behind the ramp (its own schedule then starts ``steps`` later); one that is
stepped once an epoch, or has a warm-up of its own (OneCycleLR), is told to the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, after, around, replace, torch_name
from evengrad.patches._loop import Maker, Step, block_of, chosen_makers, last_of_step, method_calls, steps
from evengrad.patches._names import argument, fresh, own_targets, same_meaning
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree

_SCHEDULERS = "torch.optim.lr_scheduler."


@dataclass(frozen=True)
class WarmUp(AbstractPatch):
    """Adds a ramp of the learning rate, or puts one before the schedule that is there."""

    def write(self, job: Job) -> SourceTree:
        """Write the ramp for each optimizer that is meant."""
        found = chosen_makers(job)
        if not found:
            raise PatchError(f"the optimizer is not made in the source given; {_wanted(job)} where it is")
        edits: list[tuple[Source, Edit]] = []
        names: list[str] = []
        for maker in found:
            edits += [(maker.source, edit) for edit in _ramp(job, maker, names)]
        return job.edited(edits)


def _length(job: Job) -> int:
    return max(1, round(job.change.number("steps", 1.0)))


def _wanted(job: Job) -> str:
    return f"raise the learning rate linearly from zero over the first {_length(job)} steps"


def _ramp(job: Job, maker: Maker, names: list[str]) -> Iterator[Edit]:
    """Yield the edits for one optimizer; ``names`` are those that other ramps have."""
    source, length = maker.source, _length(job)
    own = [step for step in steps(job) if step.maker is not None and step.maker.call is maker.call]
    statement = maker.statement
    where = job.where(source, maker.line)
    if not own or statement is None or not maker.targets or any(step.source is not source for step in own):
        raise PatchError(f"{_wanted(job)}: make a LambdaLR behind {where} and step it behind the optimizer's step")
    target = maker.targets[0]
    scheduler = _scheduler(source, target)
    if scheduler is not None:
        yield from _before_schedule(job, maker, scheduler, own)
        return
    name = fresh(source, [name for name in ("warmup", "ramp", "warmup2", "warmup3") if name not in names])
    names.append(name)
    owner = target.rpartition(".")[0]
    full = f"{owner}.{name}" if owner else name
    if not all(same_meaning(source, target.partition(".")[0], maker.call, step.call) for step in own):
        raise PatchError(f"{_wanted(job)}: make a LambdaLR behind {where} and hand it to where the optimizer steps")
    ramp, needed = torch_name(source, f"{_SCHEDULERS}LambdaLR", maker.call)
    yield after(source, statement, [f"{full} = {ramp}({target}, lambda step: min(1.0, (step + 1) / {length}))"])
    yield from needed
    for step in own:
        yield after(source, last_of_step(step), [f"{full}.step()"])


def _scheduler(source: Source, optimizer: str) -> cst.Call | None:
    """Return the call that makes a scheduler of an optimizer."""
    for call in source.all(cst.Call):
        name = source.resolve(call.func) or source.dotted(call.func) or ""
        named = name.startswith(_SCHEDULERS) or name.rpartition(".")[2].endswith(("LR", "LRScheduler"))
        if named and call.args and source.code(call.args[0].value) == optimizer:
            return call
    return None


def _before_schedule(job: Job, maker: Maker, scheduler: cst.Call, own: list[Step]) -> Iterator[Edit]:
    """Yield the edits that put the ramp before a schedule that is there."""
    source, length = maker.source, _length(job)
    kind = (source.dotted(scheduler.func) or "").rpartition(".")[2]
    where = job.where(source, source.line(scheduler))
    names = own_targets(source, scheduler)
    blocks = {id(block_of(source, step.call)) for step in own}
    stepped = [
        call
        for step in own
        for call in method_calls(source, "step", source.function(step.call))
        if isinstance(call.func, cst.Attribute) and source.code(call.func.value) in names
    ]
    beside = bool(stepped) and all(id(block_of(source, call)) in blocks for call in stepped)
    statement = source.small(scheduler)
    if not beside or statement is None or kind in {"OneCycleLR", "CyclicLR", "ReduceLROnPlateau"}:
        raise PatchError(
            f"{_wanted(job)}; {kind} at {where} sets it now, and is not stepped with each step of the optimizer"
        )
    ramp = f"min(1.0, (step + 1) / {length})"
    if kind == "LambdaLR":
        given = argument(scheduler, "lr_lambda", 1)
        if given is not None:
            yield from _factor(source, given.value, length)
            return
    chain, needed = torch_name(source, f"{_SCHEDULERS}SequentialLR", scheduler)
    ramp_class, more = torch_name(source, f"{_SCHEDULERS}LambdaLR", scheduler)
    target = maker.targets[0]
    parts = f"[{ramp_class}({target}, lambda step: {ramp}), {names[0]}]"
    yield after(source, statement, [f"{names[0]} = {chain}({target}, {parts}, milestones=[{length}])"])
    yield from (*needed, *more)


def _factor(source: Source, given: cst.BaseExpression, length: int) -> Iterator[Edit]:
    """Yield the edits that multiply a LambdaLR's function by the ramp."""
    if isinstance(given, cst.Lambda) and len(given.params.params) == 1:
        name = given.params.params[0].name.value
        simple = isinstance(given.body, cst.Name | cst.Call | cst.Float | cst.Integer)
        head, tail = ("", "") if simple else ("(", ")")
        yield from around(source, given.body, given.body, f"min(1.0, ({name} + 1) / {length}) * {head}", tail)
    elif isinstance(given, cst.Name | cst.Attribute):
        code = source.code(given)
        yield replace(source, given, f"lambda step: min(1.0, (step + 1) / {length}) * {code}(step)")
    else:
        raise PatchError(f"multiply the schedule on line {source.line(given)} by min(1.0, (step + 1) / {length})")


PATCH = WarmUp()
