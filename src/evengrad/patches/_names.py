"""Variables: where they are assigned, and whether an expression means the same thing somewhere else."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from evengrad.patches._source import Source


def targets_of(source: Source, node: cst.CSTNode) -> list[str]:
    """Return the texts of what an expression's value is assigned to: ``["self.optimizer"]``; [] if to nothing."""
    for parent in source.ancestors(node):
        if isinstance(parent, cst.Assign):
            return [source.code(target.target) for target in parent.targets]
        if isinstance(parent, cst.AnnAssign | cst.NamedExpr):
            return [source.code(parent.target)]
        if isinstance(parent, cst.BaseStatement | cst.Lambda):
            return []
    return []


def own_targets(source: Source, node: cst.CSTNode) -> list[str]:
    """Return what one value is assigned to, a pair's elements told apart: ``g, d = G(), D()``."""
    value: cst.CSTNode = node
    parent = source.parents.get(value)
    while isinstance(parent, cst.Element | cst.Tuple | cst.Call | cst.Attribute | cst.Arg):
        if isinstance(parent, cst.Tuple) and isinstance(assign := source.parents[parent], cst.Assign):
            index = next(
                i for i, element in enumerate(parent.elements) if element is value or _holds(source, element, value)
            )
            target = assign.targets[0].target
            if isinstance(target, cst.Tuple) and len(target.elements) == len(parent.elements):
                return [source.code(target.elements[index].value)]
            return []
        value, parent = parent, source.parents.get(parent)
    return targets_of(source, node)


def _holds(source: Source, outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
    return outer in source.ancestors(inner)


def assignments(source: Source, name: str, inside: cst.FunctionDef | None) -> list[cst.Assign | cst.AnnAssign]:
    """Return the assignments to a variable in a function, or on the level of the module."""
    found: list[cst.Assign | cst.AnnAssign] = []
    for node in source.nodes:
        if isinstance(node, cst.Assign):
            texts = [part for target in node.targets for part in _parts(source, target.target)]
        elif isinstance(node, cst.AnnAssign) and node.value is not None:
            texts = [source.code(node.target)]
        else:
            continue
        if name in texts and source.function(node) is inside:
            found.append(node)
    return found


def _parts(source: Source, target: cst.BaseExpression) -> list[str]:
    if isinstance(target, cst.Tuple | cst.List):
        return [part for element in target.elements for part in _parts(source, element.value)]
    return [source.code(target)]


def parameters_of(function: cst.FunctionDef) -> list[str]:
    """Return the names of a function's parameters."""
    p = function.params
    return [param.name.value for param in (*p.posonly_params, *p.params, *p.kwonly_params)]


def same_meaning(source: Source, root: str, there: cst.CSTNode, here: cst.CSTNode) -> bool:
    """Return whether a variable that is known at one place of a file is the same object at another.

    Args:
        source: The file.
        root: The variable's name, or ``self``.
        there: Where it is known.
        here: Where it is to be used.

    Returns:
        True only if it is sure.
    """
    if root == "self":
        return source.klass(there) is not None and source.klass(there) is source.klass(here)
    home = _home(source, root, there)
    return home == _home(source, root, here) and len(assignments(source, root, home[1])) <= 1


def _home(source: Source, name: str, at: cst.CSTNode) -> tuple[str, cst.FunctionDef | None]:
    """Return the function that a name belongs to at a place; the module's own belong to None."""
    for function in source.functions(at):
        if name in parameters_of(function) or _binds(source, function, name):
            return name, function
    return name, None


def _binds(source: Source, function: cst.FunctionDef, name: str) -> bool:
    if assignments(source, name, function):
        return True
    bound = [node.target for node in source.within(function, cst.For)]
    bound += [node.target for node in source.within(function, cst.CompFor)]
    return any(source.function(target) is function and name in _parts(source, target) for target in bound)


def fresh(source: Source, wanted: Sequence[str]) -> str:
    """Return the first of some names that the file does not use; else the first, numbered."""
    used = {node.value for node in source.all(cst.Name)}
    for name in wanted:
        if name not in used:
            return name
    return next(f"{wanted[0]}{number}" for number in range(2, 10**6) if f"{wanted[0]}{number}" not in used)


def argument(call: cst.Call, keyword: str, position: int | None = None) -> cst.Arg | None:
    """Return an argument of a call by keyword or by position; None if it is not there, or lies behind a ``*``."""
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == keyword:
            return arg
    if position is not None and len(call.args) > position:
        head = call.args[: position + 1]
        if all(arg.keyword is None and not arg.star for arg in head):
            return call.args[position]
    return None
