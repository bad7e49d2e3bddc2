"""Add an L2 penalty to the loss.

Settings:
    coefficient: of ``coefficient / 2 * sum of squares``, in loss/W^2; the gradient of a weight gets
        ``coefficient * W``.

The sum runs over the parameters that the optimizer was given. ``lines``: of the optimizer; none: the only one. The
penalty is added in the call of ``backward``, so that the loss that the script reports stays what it was. Where
gradients accumulate over several backward passes it is refused: each pass would add the whole penalty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, around
from evengrad.patches._loop import (
    Step,
    accumulates,
    backward_before,
    chosen_steps,
    parameters_expression,
    refuse_sparse,
)
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number


@dataclass(frozen=True)
class Penalise(AbstractPatch):
    """Adds half the sum of squares to what backward starts from."""

    def write(self, job: Job) -> SourceTree:
        """Add the penalty to the loss of each step that is meant."""
        refuse_sparse(job)
        found = chosen_steps(job)
        makers = {id(step.maker.call) for step in found if step.maker is not None}
        if len(makers) > 1 and not job.change.lines:
            raise PatchError(
                f"there are several optimizers; add {_penalty(job, 'parameters')} to the loss of the one meant"
            )
        edits: list[tuple[Source, Edit]] = []
        for step in found:
            edits += [(step.source, edit) for edit in _penalised(job, step)]
        return job.edited(edits)


def _penalty(job: Job, parameters: str) -> str:
    """Return the expression of the penalty."""
    half = number(job.change.number("coefficient") / 2)
    return f"{half} * sum(p.square().sum() for p in {parameters})"


def _penalised(job: Job, step: Step) -> Iterator[Edit]:
    """Yield the edits of one backward pass."""
    source, backward = step.source, backward_before(step)
    penalty = _penalty(job, parameters_expression(step))
    if backward is None or accumulates(step):
        where = job.where(source, source.line(backward or step.call))
        raise PatchError(f"add {penalty} to the loss near {where}, once per step of the optimizer")
    value = loss_node(source, backward)
    if value is None:
        raise PatchError(f"add {penalty} to the loss at {job.where(source, source.line(backward))}")
    bare = value is not (backward.func.value if isinstance(backward.func, cst.Attribute) else None) or value.lpar
    loose = isinstance(value, cst.IfExp | cst.Lambda | cst.NamedExpr | cst.BooleanOperation | cst.Comparison)
    head, tail = ("(", ")") if loose else ("", "")
    yield from around(
        source, value, value, f"{head}" if bare else f"({head}", f"{tail} + {penalty}" + ("" if bare else ")")
    )


def loss_node(source: Source, backward: cst.Call) -> cst.BaseExpression | None:
    """Return the expression of the loss that a backward pass starts from, without a scaler around it."""
    if not isinstance(backward.func, cst.Attribute) or source.resolve(backward.func) == "torch.autograd.backward":
        return backward.args[0].value if len(backward.args) == 1 else None
    value = backward.func.value
    if "accelerator" in source.code(value).lower() or "fabric" in source.code(value).lower():
        return backward.args[0].value if backward.args else None
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and value.func.attr.value == "scale":
        return value.args[0].value if value.args else None
    return value


PATCH = Penalise()
