"""Move data into units of order one.

Settings:
    what: ``input`` or ``target``.
    mean, std: what is subtracted, and what the rest is divided by, in the unit of the data; 0 and 1 unless given.
    per: ``tensor`` (unless given): by the numbers ``mean`` and ``std``; ``column``: by mean and standard deviation of
        each column of the data that the script holds in one tensor (``X = (X - X.mean(0)) / X.std(0)``), right behind
        its last assignment, or of the array that a Dataset class keeps as an attribute; refused if there is none.

``input``: with numbers, the first statement of the model's own ``forward``, so that evaluation sees the same units; for
a model without one (a Sequential), the argument of each call of the model. ``target``: with numbers, where the loss
takes it; a comment says that predictions are in the new unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._data import LossCall, last_assignment, loss_calls, model_calls, tensor_behind
from evengrad.patches._dataset import dataset_column
from evengrad.patches._edit import Edit, after, around, before, before_block
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number

_SMALLEST = 1e-6  # a constant column has no spread; own choice


@dataclass(frozen=True)
class Scale(AbstractPatch):
    """Standardises inputs or targets."""

    def write(self, job: Job) -> SourceTree:
        """Scale in forward, at the calls, or where the data are made."""
        what, column = job.change.word("what", "input"), job.change.word("per") == "column"
        if what not in {"input", "target"}:
            raise PatchError(f"{what!r} is neither input nor target; scale the data by hand")
        if what == "input" and {info.kind for info in job.facts.modules} & {"Embedding", "EmbeddingBag"}:
            raise PatchError(
                "the model looks its inputs up in an Embedding, so they are indices; scale what else it is given"
            )
        if column:
            return job.edited(_columns(job, what))
        if what == "target":
            return job.edited([edit for loss in loss_calls(job) for edit in _target(job, loss)])
        return job.edited(_forward(job) or _calls(job))


def _columns(job: Job, what: str) -> list[tuple[Source, Edit]]:
    """Return the edits that standardise the data by their own columns."""
    if what == "input":
        values = [(source, call.args[0].value) for source, call in model_calls(job)]
    else:
        values = [(loss.source, loss.target) for loss in loss_calls(job)]
    for source, value in values:
        name = tensor_behind(source, value)
        statement = last_assignment(source, name, value) if name is not None else None
        if name is not None and statement is not None:
            line = f"{name} = ({name} - {name}.mean(0)) / {name}.std(0).clamp_min({number(_SMALLEST)})"
            return [(source, after(source, statement, [line]))]
        found = dataset_column(list(job.sources), source, value)
        if found is not None:
            home, made, array = found
            # `clip` bounds a spread in NumPy and in torch alike.
            line = f"{array} = ({array} - {array}.mean(0)) / {array}.std(0).clip({number(_SMALLEST)})"
            return [(home, after(home, made, [line]))]
    raise PatchError(
        f"where the data are made, subtract from each column of the {what} its mean over the training set and divide "
        "by its standard deviation"
    )


def _scaled(job: Job) -> tuple[str, str]:
    """Return what stands before and behind a value to scale it."""
    mean, std = job.change.number("mean", 0.0), job.change.number("std", 1.0)
    behind = f" / {number(std)}"
    return ("", behind) if mean == 0 else ("(", f" - {number(mean)}){behind}")


def _wrapped(source: Source, job: Job, value: cst.BaseExpression) -> Iterator[Edit]:
    """Yield the edits that scale an argument."""
    head, tail = _scaled(job)
    simple = isinstance(value, cst.Name | cst.Attribute | cst.Call | cst.Subscript) or bool(value.lpar)
    yield from around(source, value, value, head if simple else f"{head}(", tail if simple else f"){tail}")


def _forward(job: Job) -> list[tuple[Source, Edit]]:
    """Return the edit of the model's own forward; none if it has none."""
    root = job.facts.module("")
    if root is None:
        return []
    for source in job.sources:
        for klass in source.all(cst.ClassDef):
            forward = [f for f in source.within(klass, cst.FunctionDef) if f.name.value == "forward"]
            if klass.name.value != root.kind or not forward or source.klass(forward[0]) is not klass:
                continue
            parameters = forward[0].params.params
            if len(parameters) < 2 or not isinstance(forward[0].body, cst.IndentedBlock):
                return []
            name = parameters[1].name.value
            head, tail = _scaled(job)
            line = f"{name} = {head}{name}{tail}"
            return [(source, _first_in(source, forward[0].body, line))]
    return []


def _first_in(source: Source, body: cst.IndentedBlock, line: str) -> Edit:
    """Return the edit that puts a statement first in a body, behind its docstring."""
    first = body.body[0]
    small = first.body[0] if isinstance(first, cst.SimpleStatementLine) else None
    if small is None:
        return before_block(source, first, [line])
    if isinstance(small, cst.Expr) and isinstance(small.value, cst.BaseString):
        return after(source, small, [line])
    return before(source, small, [line])


def _calls(job: Job) -> list[tuple[Source, Edit]]:
    """Return the edits of the calls of a model without a forward of its own."""
    root = job.facts.module("")
    known = root is not None and root.kind in {"Sequential", "Linear"}
    found = model_calls(job) if known or root is None else []
    edits = [(s, edit) for s, call in found if not call.args[0].star for edit in _wrapped(s, job, call.args[0].value)]
    if not edits:
        head, tail = _scaled(job)
        raise PatchError(
            f"scale the data before the model takes them: x = {head}x{tail}, in training and evaluation alike"
        )
    return edits


def _target(job: Job, loss: LossCall) -> Iterator[tuple[Source, Edit]]:
    """Yield the edits of one call of the loss."""
    source, statement = loss.source, loss.source.small(loss.call)
    for edit in _wrapped(source, job, loss.target):
        yield source, edit
    mean, std = number(job.change.number("mean", 0.0)), number(job.change.number("std", 1.0))
    if statement is not None and source.parents.get(source.parents[statement]) is not None:
        comment = f"# predictions are in units of {std} from {mean}: multiply by {std} and add {mean} to read them"
        if isinstance(source.parents[statement], cst.SimpleStatementLine):
            line = source.line(statement)
            at = source.starts[line - 1]
            yield source, Edit(at, at, source.block([comment], source.indent_of(line)))


PATCH = Scale()
