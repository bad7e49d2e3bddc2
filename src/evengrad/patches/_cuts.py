"""Places in source where a gradient ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.patches._base import Job
from evengrad.patches._edit import Edit, around, remove, replace
from evengrad.patches._loop import backwards
from evengrad.patches._names import assignments, targets_of
from evengrad.patches._source import Source

_CUTS = ("detach", "item", "tolist", "numpy", "cpu")
_REWRAPS = ("torch.tensor", "torch.as_tensor", "torch.from_numpy", "torch.FloatTensor")
_NO_GRAD = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


@dataclass(frozen=True, eq=False)
class Cut:
    """A cut and the edits that mend it."""

    source: Source
    node: cst.CSTNode
    edits: tuple[Edit, ...]


def words_of(job: Job) -> set[str]:
    """Return the attributes and variables by which source may call the modules that get no gradient."""
    names = [*job.change.modules, *(info.module for p in job.change.parameters if (info := job.facts.parameter(p)))]
    return {part for name in names for part in name.split(":")[0].split(".") if part and not part.isdigit()}


def detached(job: Job) -> list[Cut]:
    """Return the detaching calls on the way of the change's modules, in forward methods and training functions."""
    found = []
    for source in job.sources:
        inner: set[int] = set()
        for node in source.nodes:
            value = _detaching(source, node)
            if value is None or id(node) in inner or not _trains(source, node) or _logs(source, node):
                continue
            outer, kept = _whole(source, node, value)
            inner.update(id(n) for n in source.below(outer))
            if _concerns(job, source, outer, kept):
                found.append(Cut(source, outer, tuple(_mended(source, outer, kept))))
    return found


def _detaching(source: Source, node: cst.CSTNode) -> cst.BaseExpression | None:
    """Return what a node cuts off: the ``x`` of ``x.detach()``, ``x.data``, ``torch.tensor(x)``."""
    if isinstance(node, cst.Call):
        if isinstance(node.func, cst.Attribute) and not node.args and node.func.attr.value in _CUTS[:-1]:
            return node.func.value
        if source.resolve(node.func) in _REWRAPS and node.args and isinstance(node.args[0].value, cst.Call):
            return node.args[0].value if _detaching(source, node.args[0].value) is not None else None
    elif isinstance(node, cst.Attribute) and node.attr.value == "data" and source.resolve(node) is None:
        return node.value
    return None


def _whole(source: Source, node: cst.CSTNode, value: cst.BaseExpression) -> tuple[cst.CSTNode, cst.BaseExpression]:
    """Return the outermost node of a chain of cuts, and the expression that is left of it."""
    while True:
        further = _detaching(source, value)
        if further is None and isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
            further = value.func.value if value.func.attr.value == "cpu" and not value.args else None
        if further is None:
            return node, value
        value = further


def _trains(source: Source, node: cst.CSTNode) -> bool:
    """Return whether a place is in a model's method or in code that runs backward, gradients enabled."""
    for parent in source.ancestors(node):
        if isinstance(parent, cst.With) and any(_disables(source, item.item) for item in parent.items):
            return False
    function = source.function(node)
    if function is not None and source.klass(node) is not None:
        return function.name.value != "__init__"
    return bool(backwards(source, function)) or function is not None


def _called(expression: cst.BaseExpression) -> cst.BaseExpression:
    return expression.func if isinstance(expression, cst.Call) else expression


def _logs(source: Source, node: cst.CSTNode) -> bool:
    """Return whether a value is only shown or summed up: printed, appended, or added to a running total."""
    for parent in source.ancestors(node):
        if isinstance(parent, cst.AugAssign | cst.FormattedString | cst.Expr | cst.Assert | cst.Return):
            return not isinstance(parent, cst.Return) or source.klass(node) is None
        if isinstance(parent, cst.BaseStatement):
            return isinstance(parent, cst.If | cst.While | cst.For)
    return False


def _concerns(job: Job, source: Source, outer: cst.CSTNode, kept: cst.BaseExpression) -> bool:
    """Return whether a cut is on a line that is named, or behind the modules that are."""
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    if lines:
        return any((source.path, number) in lines for number in source.lines(outer))
    words = words_of(job)
    return not words or bool(words & _behind(source, kept, source.function(outer), 3))


def _behind(source: Source, node: cst.CSTNode, function: cst.FunctionDef | None, depth: int) -> set[str]:
    """Return the names that a value is made from, through the assignments before it."""
    names = {n.value for n in source.within(node, cst.Name)}
    if depth:
        for name in tuple(names):
            for made in assignments(source, name, function):
                if made.value is not None and node not in source.below(made.value):
                    names |= _behind(source, made.value, function, depth - 1)
    return names


def _mended(source: Source, outer: cst.CSTNode, kept: cst.BaseExpression) -> Iterator[Edit]:
    """Yield the edits that leave a value uncut; ``z = z`` is removed."""
    statement = source.small(outer)
    whole = isinstance(statement, cst.Assign) and statement.value is outer
    if statement is not None and whole and targets_of(source, outer) == [source.code(kept)]:
        yield remove(source, statement)
    else:
        start, end = source.span(outer)
        yield Edit(start, source.outer_start(kept), "")
        yield Edit(source.outer_end(kept), end, "")


def without_grad(job: Job) -> list[Cut]:
    """Return the ``no_grad`` blocks and decorators around the change's modules, outside evaluation."""
    words, found = words_of(job), []
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    for source in job.sources:
        for block in source.all(cst.With):
            guards = [item.item for item in block.items if _disables(source, item.item)]
            named = {n.value for n in source.within(block.body, cst.Name)}
            on_line = any((source.path, number) in lines for number in source.lines(block))
            forward = source.function(block) is not None and source.klass(block) is not None
            inside = forward or bool(backwards(source, source.function(block)))
            if any(block in source.ancestors(call) for call in source.all(cst.Call) if _is_backward(call)):
                continue  # `set_grad_enabled(training)` around a whole step: gradients arrive
            if guards and (on_line or (not lines and inside and (not words or words & named))):
                found.append(Cut(source, block, tuple(_enabled(source, guards[0]))))
        for function in source.all(cst.FunctionDef):
            for decorator in function.decorators:
                named = {n.value for n in source.within(function.body, cst.Name)}
                off = source.resolve(_called(decorator.decorator)) in _NO_GRAD
                if off and function.name.value == "forward" and (not words or words & named):
                    found.append(Cut(source, decorator, _line_removed(source, decorator)))
    return found


def _disables(source: Source, guard: cst.BaseExpression) -> bool:
    """Return whether a context takes gradients away; ``inference_mode(False)`` does not."""
    given = source.code(guard.args[0].value) if isinstance(guard, cst.Call) and guard.args else ""
    if source.resolve(_called(guard)) == "torch.set_grad_enabled":
        return given != "True"
    off = given == "False"
    return source.resolve(_called(guard)) in _NO_GRAD and not off


def _is_backward(call: cst.Call) -> bool:
    return isinstance(call.func, cst.Attribute) and call.func.attr.value == "backward"


def _enabled(source: Source, guard: cst.BaseExpression) -> Iterator[Edit]:
    func = _called(guard)
    if isinstance(func, cst.Attribute):
        yield replace(source, guard, f"{source.code(func.value)}.enable_grad()")
    else:
        torch = source.refer("torch", guard)
        yield replace(source, guard, f"{torch}.enable_grad()" if torch else "torch.enable_grad()")


def _line_removed(source: Source, node: cst.CSTNode) -> tuple[Edit, ...]:
    lines = source.lines(node)
    return (Edit(source.starts[lines[0] - 1], source.line_end(lines[-1]), ""),)


def frozen(job: Job) -> list[Cut]:
    """Return the places that set ``requires_grad`` to False for the change's modules."""
    words, found = words_of(job), []
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    for source in job.sources:
        for node in source.nodes:
            value = _freezing(source, node)
            if value is None:
                continue
            statement = source.small(node)
            loop = source.nearest(node, cst.For)
            named = {
                n.value
                for part in (statement, loop.iter if loop else None)
                if part
                for n in source.within(part, cst.Name)
            }
            on_line = any((source.path, number) in lines for number in source.lines(node))
            if on_line or (not lines and (not words or words & named)):
                found.append(Cut(source, node, (replace(source, value, "True"),)))
    return found


def _freezing(source: Source, node: cst.CSTNode) -> cst.CSTNode | None:
    """Return the ``False`` of ``p.requires_grad = False`` and ``requires_grad_(False)``."""
    value: cst.CSTNode | None = None
    if isinstance(node, cst.Assign):
        target = node.targets[0].target
        if isinstance(target, cst.Attribute) and target.attr.value == "requires_grad":
            value = node.value
    elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.args:
        value = node.args[0].value if node.func.attr.value == "requires_grad_" else None
    return value if value is not None and source.code(value) == "False" else None


def unregistered(job: Job) -> list[Cut]:
    """Return the plain lists and dicts of modules that a model keeps."""
    found = []
    for source in job.sources:
        modules = {
            k.name.value for k in source.all(cst.ClassDef) if any("Module" in source.code(b.value) for b in k.bases)
        }
        for node in source.all(cst.Assign):
            target = node.targets[0].target
            listed = isinstance(node.value, cst.List | cst.ListComp)
            if not isinstance(target, cst.Attribute) or not (listed or isinstance(node.value, cst.Dict | cst.DictComp)):
                continue
            names = [
                source.resolve(call.func) or source.code(call.func) for call in source.within(node.value, cst.Call)
            ]
            if any(name in modules or (name.startswith("torch.nn.") and name[9:10].isupper()) for name in names):
                container = "ModuleList" if listed else "ModuleDict"
                nn = source.refer("torch.nn", node) or "torch.nn"
                edits = around(source, node.value, node.value, f"{nn}.{container}(", ")")
                found.append(Cut(source, node, edits))
    return found
