"""Let the gradient, or the optimizer, reach the parameters.

Settings:
    fault: what cuts them off:

        - ``detached``: ``.detach()``, ``.data``, ``.item()``, ``.tolist()``, ``.numpy()`` with the ``torch.tensor``
          around it are removed.
        - ``no-grad``: ``with torch.no_grad():`` around them becomes ``enable_grad``; such a decorator of forward is
          removed.
        - ``frozen``: ``requires_grad_(False)`` and ``requires_grad = False`` become True.
        - ``missing``: parameters in no optimizer: the optimizer's first argument is widened to the whole model, or gets
          their modules beside its own.
        - ``foreign``: the optimizer holds the parameters of another object: it is made behind the model's last
          construction (the statement moves), or is given the model that is called.
        - ``unregistered``: a plain list of modules becomes an nn.ModuleList, a plain dict an nn.ModuleDict.
        - ``auto`` (unless given): the first of ``detached, no-grad, unregistered, frozen, missing`` that is found.

``modules``, ``parameters``: those that get no gradient. ``lines``: of the cut, where known; else it is looked for in
methods and training functions, where values that the modules made are used. It is refused if there is more than one
candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._address import expression, root_of
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._cuts import Cut, detached, frozen, unregistered, without_grad
from evengrad.patches._edit import Edit, replace
from evengrad.patches._init_lines import RECURRENT, WEIGHTED
from evengrad.patches._loop import chosen_makers, makers
from evengrad.patches._move import move
from evengrad.patches._names import assignments
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree

_AUTO = ("detached", "no-grad", "unregistered", "frozen", "missing")


@dataclass(frozen=True)
class Reconnect(AbstractPatch):
    """Mends what cuts parameters off."""

    def write(self, job: Job) -> SourceTree:
        """Mend the only candidate of the kind that is meant."""
        fault = job.change.word("fault", "auto")
        if fault != "auto" and fault not in _FINDERS:
            raise PatchError(f"{fault!r} is no cut known here; look for what keeps the gradient from the parameters")
        who = ", ".join((*job.change.modules, *job.change.parameters)[:3]) or "the parameters"
        for kind in _AUTO if fault == "auto" else (fault,):
            cuts = _FINDERS[kind](job)
            if len(cuts) > 1 and kind != "frozen":
                places = ", ".join(job.where(cut.source, cut.source.line(cut.node)) for cut in cuts)
                raise PatchError(f"one of {places} keeps the gradient from {who}; take it away")
            if cuts:
                return job.edited((cut.source, edit) for cut in cuts for edit in cut.edits)
        raise PatchError(
            f"look between {who} and the loss for what cuts the gradient (detach, .item(), .data, no_grad, an "
            "operation without derivative), and for parameters that the optimizer was not given"
        )


def _missing(job: Job) -> list[Cut]:
    """Return the optimizer that is to be given more parameters."""
    wanted = _unheld(job)
    found = chosen_makers(job)
    if not wanted or len(found) != 1:
        return []
    maker = found[0]
    source, params = maker.source, maker.params
    if params is None:
        return []
    roots = [root_of(job, maker, name) for name in wanted]
    if any(root is None for root in roots):
        return []
    known = [root for root in roots if root is not None]
    whole = {model for model, _ in known}
    plain = len(maker.models) == 1 and source.code(params) == f"{maker.models[0]}.parameters()"
    if plain and len(whole) == 1 and maker.models[0].startswith(f"{min(whole)}."):
        return [Cut(source, maker.call, (replace(source, params, f"{min(whole)}.parameters()"),))]
    if (
        len(whole) == 1
        and _chosen(source, params)
        and all(m == min(whole) or m.startswith(f"{min(whole)}.") for m in maker.models)
    ):
        start, end = source.outer_start(params), source.outer_end(params)
        return [Cut(source, maker.call, (Edit(start, end, f"{min(whole)}.parameters()"),))]
    groups = isinstance(params, cst.List) and all(isinstance(e.value, cst.Dict) for e in params.elements)
    part = '{{"params": {0}.parameters()}}' if groups else "*{0}.parameters()"
    more = ", ".join(part.format(expression(*root)) for root in known)
    if isinstance(params, cst.List) and params.elements:
        end = source.outer_end(params.elements[-1].value)
        return [Cut(source, maker.call, (Edit(end, end, f", {more}"),))]
    return [Cut(source, maker.call, (replace(source, params, f"[*{source.code(params)}, {more}]"),))]


def _chosen(source: Source, params: cst.BaseExpression) -> bool:
    """Return whether an expression is ``(model if all else model.body).parameters()``."""
    func = params.func if isinstance(params, cst.Call) and not params.args else None
    return isinstance(func, cst.Attribute) and isinstance(func.value, cst.IfExp) and func.attr.value == "parameters"


def _unheld(job: Job) -> list[str]:
    """Return the change's modules of whose parameters no optimizer holds any, outermost ones only."""
    held = {info.name for info in job.facts.parameters if info.optimizer >= 0}
    names = [name.rpartition(".")[0] for name in job.change.parameters if name not in held]
    made = {info.name for info in job.facts.modules if info.kind in (*WEIGHTED, *RECURRENT, "Embedding")}
    names += [n for n in job.change.modules if n in made and not any(p.startswith(n + ".") for p in held)]
    unique = list(dict.fromkeys(names))
    return [name for name in unique if not any(name.startswith(other + ".") for other in unique)]


def _foreign(job: Job) -> list[Cut]:
    """Return the optimizers that were made too early, or for another object than the one that is called."""
    found = []
    for maker in makers(job):
        source, statement = maker.source, maker.statement
        if statement is None or len(maker.models) != 1:
            continue
        name = maker.models[0]
        later = [
            made
            for made in assignments(source, name, source.function(maker.call))
            if source.span(made)[0] > source.span(statement)[0] and not _wraps(source, made, name)
        ]
        if later:
            found.append(Cut(source, maker.call, tuple(move(source, statement, later[-1], behind=True))))
            continue
        called = _called_model(job, source)
        if called is not None and called != name:
            nodes = [n for n in source.within(maker.call, cst.Name) if n.value == name]
            if nodes:
                found.append(Cut(source, maker.call, tuple(replace(source, node, called) for node in nodes)))
    return found


def _wraps(source: Source, made: cst.Assign | cst.AnnAssign, name: str) -> bool:
    """Return whether an assignment keeps the object: ``model = model.to(device)``, ``model = DDP(model)``."""
    return made.value is not None and any(n.value == name for n in source.within(made.value, cst.Name))


def _called_model(job: Job, source: Source) -> str | None:
    """Return the variable of the model that the run called first."""
    roots = [info for info in job.facts.modules if "." not in info.name and info.called is not None]
    root = next((info for info in roots if job.tree.find(info.called) == source.path), None)
    if root is None or root.called is None:
        return None
    names = [
        call.func.value
        for call in source.all(cst.Call)
        if isinstance(call.func, cst.Name)
        and root.called.line in source.lines(call)
        and source.resolve(call.func) is None
    ]
    assigned = [
        n for n in dict.fromkeys(names) if any(assignments(source, n, f) for f in (None, *source.all(cst.FunctionDef)))
    ]
    return assigned[0] if len(assigned) == 1 else None


_FINDERS: dict[str, Callable[[Job], list[Cut]]] = {
    "detached": detached,
    "no-grad": without_grad,
    "frozen": frozen,
    "missing": _missing,
    "foreign": _foreign,
    "unregistered": unregistered,
}

PATCH = Reconnect()
