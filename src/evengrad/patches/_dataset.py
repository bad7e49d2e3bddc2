"""The array that a Dataset class of the user's own takes its rows from."""

from __future__ import annotations

import libcst as cst

from evengrad.patches._names import assignments
from evengrad.patches._source import Source


def dataset_column(
    sources: list[Source], source: Source, value: cst.BaseExpression
) -> tuple[Source, cst.BaseSmallStatement, str] | None:
    """Return the last assignment of the attribute that a loop's data come from, and the attribute.

    That is ``self.X`` for ``for x, y in loader``, where the program's only dataset is a class that sets ``self.X`` in
    its constructor and gives ``self.X[i], self.y[i]``, in whichever file it stands.

    Args:
        sources: All files of the program.
        source: The one that the data are used in.
        value: What is used there: ``x``.
    """
    index = _place(source, value)
    classes = [(s, c) for s in sources for c in s.all(cst.ClassDef) if _method(s, c, "__getitem__") is not None]
    if index is None or len(classes) != 1:
        return None
    home, klass = classes[0]
    made_of = [c for s in sources for c in s.all(cst.Call) if (s.dotted(c.func) or "").endswith(klass.name.value)]
    if len(made_of) > 1:  # training and test data have to be scaled by the same numbers
        return None
    getter, maker = _method(home, klass, "__getitem__"), _method(home, klass, "__init__")
    returns = home.within(getter, cst.Return) if getter is not None else []
    if maker is None or len(returns) != 1 or not isinstance(given := returns[0].value, cst.Tuple):
        return None
    if index >= len(given.elements):
        return None
    rows = {
        home.code(part.value)
        for part in home.within(given.elements[index].value, cst.Subscript)
        if isinstance(part.value, cst.Attribute) and home.code(part.value).startswith("self.")
    }
    if len(rows) != 1:
        return None
    name = rows.pop()
    made = [a for a in assignments(home, name, maker) if home.nearest(a, (cst.For, cst.While)) is None]
    if not made or made[-1].value is None or not _is_array(home.code(made[-1].value)):
        return None
    return home, made[-1], name


def _place(source: Source, value: cst.BaseExpression) -> int | None:
    """Return which of a loop's variables an expression is: 0 for ``x`` in ``for x, y in loader``; None for no such."""
    while isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):  # x.to(device)
        value = value.func.value
    for loop in (node for node in source.ancestors(value) if isinstance(node, cst.For)):
        target = loop.target
        if isinstance(target, cst.Tuple) and isinstance(target.elements[-1].value, cst.Tuple):
            target = target.elements[-1].value  # for i, (x, y) in enumerate(loader)
        if isinstance(target, cst.Tuple):
            names = [source.code(element.value) for element in target.elements]
            if source.code(value) in names:
                return names.index(source.code(value))
    return None


def _method(source: Source, klass: cst.ClassDef, name: str) -> cst.FunctionDef | None:
    found = [f for f in source.within(klass, cst.FunctionDef) if f.name.value == name and source.klass(f) is klass]
    return found[0] if found else None


def _is_array(code: str) -> bool:
    """Return whether what is assigned is an array or tensor of numbers, as far as the text tells."""
    return any(word in code for word in ("np.", "numpy.", "torch.", ".float()", ".astype(", ".values", ".to_numpy("))
