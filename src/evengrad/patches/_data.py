"""Where the data come from, and where model and loss take them."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import Job
from evengrad.patches._loop import backward_before, chosen_steps
from evengrad.patches._names import assignments, own_targets
from evengrad.patches._source import Source
from evengrad.patches.penalise import loss_node


@dataclass(frozen=True, eq=False)
class LossCall:
    """A call of the loss with prediction and target."""

    source: Source
    call: cst.Call
    target: cst.BaseExpression


def model_calls(job: Job) -> list[tuple[Source, cst.Call]]:
    """Return the calls of the model, found by the variable that it is assigned to, or by its optimizer's argument."""
    names: set[str] = set()
    root = job.facts.module("")
    for source in job.sources:
        if root is not None and root.defined is not None and job.tree.find(root.defined) == source.path:
            names.update(t for call in source.calls_on(root.defined.line) for t in own_targets(source, call))
    for step in chosen_steps(job):
        names.update(step.maker.models if step.maker is not None else ())
    return [(s, call) for s in job.sources for call in s.all(cst.Call) if s.code(call.func) in names and call.args]


def loss_calls(job: Job) -> list[LossCall]:
    """Return the calls of the loss that backward starts from.

    Raises:
        PatchError: The loss is not a call with a prediction and a target.
    """
    found: list[LossCall] = []
    for step in chosen_steps(job):
        source, backward = step.source, backward_before(step)
        value = loss_node(source, backward) if backward is not None else None
        if backward is None or value is None:
            continue
        candidates = _calls_in(source, value)
        if isinstance(value, cst.Name):
            made = assignments(source, value.value, source.function(backward))
            last = [a for a in made if source.span(a)[0] < source.span(backward)[0]][-1:]
            candidates = [c for a in last if a.value is not None for c in _calls_in(source, a.value)]
        if any(_classifies(source, call) for call in candidates):
            raise PatchError("the targets are classes, which have no unit; leave them as they are")
        if len(candidates) == 1:
            found.append(LossCall(source, candidates[0], candidates[0].args[1].value))
    if not found:
        raise PatchError(
            "the loss is not one call with a prediction and a target; bring the target into units of order one by hand"
        )
    return list({id(loss.call): loss for loss in found}.values())


def _classifies(source: Source, call: cst.Call) -> bool:
    """Return whether a loss takes classes or probabilities: by its name, or by what it was made as."""
    made = [a.value for f in (None, source.function(call)) for a in assignments(source, source.code(call.func), f)]
    texts = [source.code(call.func), *(source.code(value) for value in made if value is not None)]
    words = ("crossentropy", "nll", "bce", "ctc")
    return any(word in text.lower().replace("_", "") for text in texts for word in words)


def _calls_in(source: Source, value: cst.BaseExpression) -> list[cst.Call]:
    """Return the calls in an expression that look like losses: two arguments or more, and a name that says so."""
    words = ("loss", "criterion", "mse", "crit", "l1", "huber", "objective", "smooth")
    return [
        call
        for call in source.within(value, cst.Call)
        if len(call.args) >= 2
        and not any(arg.star for arg in call.args[:2])
        and any(word in source.code(call.func).lower() for word in words)
    ]


def tensor_behind(source: Source, value: cst.BaseExpression) -> str | None:
    """Return the variable that an expression takes rows of: ``X`` for ``X[idx]``, or for a loader's ``x``."""
    while isinstance(value, cst.Subscript):
        value = value.value
    while (
        isinstance(value, cst.Call)
        and isinstance(value.func, cst.Attribute)
        and value.func.attr.value in {"to", "float", "cuda"}
    ):
        value = value.func.value
    if not isinstance(value, cst.Name):
        return None
    return _behind_loader(source, value.value) or value.value


def _behind_loader(source: Source, name: str) -> str | None:
    """Return the tensor of ``for x, y in DataLoader(TensorDataset(X, Y))``."""
    datasets = [c for c in source.all(cst.Call) if (source.dotted(c.func) or "").endswith("TensorDataset")]
    for loop in source.all(cst.For):
        target = loop.target
        if isinstance(target, cst.Tuple) and isinstance(target.elements[-1].value, cst.Tuple):
            target = target.elements[-1].value
        if not isinstance(target, cst.Tuple):
            continue
        names = [source.code(element.value) for element in target.elements]
        if name in names and len(datasets) == 1 and len(datasets[0].args) == len(names):
            value = datasets[0].args[names.index(name)].value
            return value.value if isinstance(value, cst.Name) else None
    return None


def last_assignment(source: Source, name: str, at: cst.CSTNode) -> cst.BaseSmallStatement | None:
    """Return the last assignment of a tensor in the function of its use, or in the module; None if it may be none."""
    functions: list[cst.FunctionDef | None] = [*source.functions(at), None]
    for function in functions:
        found = [a for a in assignments(source, name, function) if _not_in_loop(source, a)]
        if found:
            return found[-1] if _is_tensor(source, found[-1]) else None
    return None


def _not_in_loop(source: Source, node: cst.CSTNode) -> bool:
    return source.nearest(node, (cst.For, cst.While)) is None


def _is_tensor(source: Source, assignment: cst.Assign | cst.AnnAssign) -> bool:
    """Return whether what is assigned is a tensor as far as the text tells."""
    if assignment.value is None:
        return False
    code = source.code(assignment.value)
    if "torch." in code or any(word in code for word in (".float()", ".view(", "tensor(", ".unsqueeze(")):
        return True
    names = {node.value for node in source.within(assignment.value, cst.Name)}
    makers = [f for f in source.all(cst.FunctionDef) if f.name.value in names]
    if any("torch" in source.code(r) for f in makers for r in source.within(f, cst.Return)):
        return True
    # `X = (X - X.mean(0)) / X.std(0)`: what X was before.
    targets = [source.code(t.target) for t in assignment.targets] if isinstance(assignment, cst.Assign) else []
    before = [a for t in targets for a in assignments(source, t, source.function(assignment)) if t in names]
    earlier = [a for a in before if source.span(a)[0] < source.span(assignment)[0]]
    return bool(earlier) and _is_tensor(source, earlier[-1])
