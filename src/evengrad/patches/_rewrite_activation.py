"""Rewrite one use of an activation as another."""

from __future__ import annotations

import math
from collections.abc import Iterator

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._activations import ACTIVATIONS, Activation, Use, word_keyword
from evengrad.patches._base import Job
from evengrad.patches._edit import Edit, after, around, replace, torch_name
from evengrad.patches._names import argument
from evengrad.patches._source import Source
from evengrad.patches._words import number


def rewrite(job: Job, use: Use, to: str, slope: float) -> Iterator[Edit]:
    """Yield the edits that put another activation, or none, in the place of one.

    Args:
        job: What is being written.
        use: The place.
        to: Id of the new activation, or ``identity``.
        slope: Its negative slope, nan for torch's own.

    Yields:
        The edits.

    Raises:
        PatchError: The place cannot hold the new one.
    """
    if use.kind == "word":
        yield from _word(job, use, to)
    elif to == "identity":
        yield from _remove(use)
    elif use.kind == "constructor" and isinstance(use.node, cst.Call):
        yield from _constructor(use.source, use.node, ACTIVATIONS[to], slope)
    elif use.kind in {"class", "callable"}:
        yield from _value(use, to, slope)
    elif isinstance(use.node, cst.Call):
        if to == "prelu":
            yield from _attribute(job, use.source, use.node, slope)
        else:
            yield from _function(use, use.node, ACTIVATIONS[to], slope)


def _remove(use: Use) -> Iterator[Edit]:
    source, node = use.source, use.node
    if use.kind == "function" and isinstance(node, cst.Call) and node.args:
        yield from _unwrapped(source, node, node.args[0].value)
    elif use.kind == "method" and isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        yield Edit(source.outer_end(node.func.value), source.span(node)[1], "")
    elif use.kind == "constructor":
        arg = source.parents.get(node)
        call = source.parents.get(arg) if isinstance(arg, cst.Arg) else None
        last = isinstance(call, cst.Call) and call.args[-1] is arg and len(call.args) > 1
        if isinstance(call, cst.Call) and last and source.resolve(call.func) == "torch.nn.Sequential":
            # The last one: no other element's name changes.
            yield Edit(source.span(call.args[-2])[1], source.span(node)[1], "")
        else:
            expression, needed = torch_name(source, "torch.nn.Identity", node)
            yield replace(source, node, f"{expression}()")
            yield from needed
    else:
        expression, needed = torch_name(source, "torch.nn.Identity", node)
        yield replace(source, node, expression if use.kind == "class" else f"{expression}()")
        yield from needed


def _unwrapped(source: Source, call: cst.Call, inner: cst.BaseExpression) -> tuple[Edit, ...]:
    """Return the edits that leave of a call only its argument, in parentheses where it needs them."""
    parent = source.parents.get(call)
    operators = (
        cst.BinaryOperation | cst.UnaryOperation | cst.Comparison | cst.BooleanOperation | cst.IfExp | cst.Lambda
    )
    binds = isinstance(
        parent, cst.BinaryOperation | cst.UnaryOperation | cst.Comparison | cst.Attribute | cst.Subscript
    )
    multiline = source.lines(inner)[0] != source.lines(inner)[-1] and not isinstance(parent, cst.Arg)
    start, end = source.span(call)
    if len(call.args) == 1 and call.args[0].comma is cst.MaybeSentinel.DEFAULT and "#" in source.text[start:end]:
        # A comment inside needs the call's own parentheses.
        return (replace(source, call.func, ""),)
    bare = not (isinstance(inner, operators) and binds) and not (multiline and not inner.lpar)
    return around(source, call, inner, "" if bare else "(", "" if bare else ")")


def _constructor(source: Source, call: cst.Call, new: Activation, slope: float) -> Iterator[Edit]:
    """Yield the edits of ``nn.Sigmoid()``."""
    expression, needed = _module(source, call.func, new)
    inplace = argument(call, "inplace")
    position = argument(call, "", 0)
    kept = new.inplace and (
        inplace is not None
        or ((source.resolve(call.func) or "").endswith(".ReLU") and position is not None and position.keyword is None)
    )
    given = inplace or position
    value = f"inplace={source.code(given.value)}" if kept and given is not None else ""
    arguments = ", ".join(part for part in (_slope(new, slope, keyword=False), value) if part)
    yield replace(source, call, f"{expression}({arguments})")
    yield from needed


def _module(source: Source, func: cst.BaseExpression, new: Activation) -> tuple[str, tuple[Edit, ...]]:
    """Return the class in the words that the old one is in: ``nn.ReLU`` beside ``nn.Sigmoid``."""
    if isinstance(func, cst.Attribute) and (source.resolve(func) or "").startswith("torch.nn."):
        return f"{source.code(func.value)}.{new.module}", ()
    return torch_name(source, f"torch.nn.{new.module}", func)


def _slope(new: Activation, slope: float, *, keyword: bool) -> str:
    """Return the argument for a slope, ``""`` when torch's own is meant."""
    if math.isnan(slope) or new.module not in {"LeakyReLU", "PReLU", "ELU", "CELU"}:
        return ""
    names = {"LeakyReLU": "negative_slope", "PReLU": "init"}
    if new.module == "PReLU":
        return f"init={number(slope)}"
    return f"{names.get(new.module, 'alpha')}={number(slope)}" if keyword else number(slope)


def _function(use: Use, call: cst.Call, new: Activation, slope: float) -> Iterator[Edit]:
    """Yield the edits of ``torch.sigmoid(x)`` and ``x.sigmoid()``."""
    source = use.source
    if use.kind == "method" and isinstance(call.func, cst.Attribute):
        if new.short:
            yield replace(source, call.func.attr, new.short)
            return
        expression, needed = _functional(source, call, new)
        bare = _slope(new, slope, keyword=True)
        yield from around(source, call, call.func.value, f"{expression}(", f", {bare})" if bare else ")")
        yield from needed
        return
    if not call.args or call.args[0].star:
        raise PatchError(f"on line {source.line(call)}, call {new.function} in place of {source.code(call.func)}")
    package = (source.resolve(call.func) or "").rpartition(".")[0]
    if isinstance(call.func, cst.Attribute) and (
        package == "torch.nn.functional" or (package == "torch" and new.short)
    ):
        name = new.function if package == "torch.nn.functional" else new.short
        expression, needed = f"{source.code(call.func.value)}.{name}", ()
    else:
        expression, needed = _functional(source, call, new)
    yield replace(source, call.func, expression)
    yield from needed
    yield from _arguments(source, call, new, slope)


def _functional(source: Source, call: cst.Call, new: Activation) -> tuple[str, tuple[Edit, ...]]:
    """Return the function by the shortest name that the file's imports allow."""
    short = source.refer("torch", call) if new.short else None
    if short is not None:
        return f"{short}.{new.short}", ()
    return torch_name(source, f"torch.nn.functional.{new.function}", call)


def _arguments(source: Source, call: cst.Call, new: Activation, slope: float) -> Iterator[Edit]:
    """Yield the edit of what follows the first argument: only ``inplace`` is kept."""
    inplace = argument(call, "inplace")
    parts = [_slope(new, slope, keyword=True)]
    if inplace is not None and new.inplace:
        parts.append(f"inplace={source.code(inplace.value)}")
    text = "".join(f", {part}" for part in parts if part)
    start, end = source.span(call.args[0])[1], source.span(call.args[-1])[1]
    if text or end > start:
        yield Edit(start, end, text)


def _value(use: Use, to: str, slope: float) -> Iterator[Edit]:
    """Yield the edits of a class or function that is passed on as a value."""
    source, new = use.source, ACTIVATIONS[to]
    if use.kind == "class":
        expression, needed = _module(source, use.node, new)
        bare = _slope(new, slope, keyword=False)
        yield replace(
            source, use.node, _lambda(source, use.node, f"lambda: {expression}({bare})") if bare else expression
        )
        yield from needed
        return
    if to == "prelu":
        raise PatchError(
            f"on line {source.line(use.node)}, pass an nn.PReLU() made in __init__ in place of the function"
        )
    if new.short and source.refer("torch", use.node) is not None:
        expression, needed = f"{source.refer('torch', use.node)}.{new.short}", ()
    else:
        expression, needed = torch_name(source, f"torch.nn.functional.{new.function}", use.node)
    bare = _slope(new, slope, keyword=True)
    yield replace(
        source, use.node, _lambda(source, use.node, f"lambda x: {expression}(x, {bare})") if bare else expression
    )
    yield from needed


def _lambda(source: Source, node: cst.CSTNode, code: str) -> str:
    """Return a lambda, in parentheses where an operator stands beside it."""
    safe = cst.Arg | cst.Param | cst.Assign | cst.AnnAssign | cst.DictElement
    return code if isinstance(source.parents.get(node), safe) else f"({code})"


def _attribute(job: Job, source: Source, call: cst.Call, slope: float) -> Iterator[Edit]:
    """Yield the edits that make ``self.prelu`` in ``__init__`` and call it."""
    klass = source.klass(call)
    init = None
    if klass is not None:
        init = next((f for f in source.within(klass, cst.FunctionDef) if f.name.value == "__init__"), None)
    last = init.body.body[-1] if init is not None and isinstance(init.body, cst.IndentedBlock) else None
    if klass is None or not isinstance(last, cst.SimpleStatementLine):
        raise PatchError(
            f"at {job.where(source, source.line(call))}: make an nn.PReLU() in __init__ and call it in place of the "
            "function"
        )
    name = _free_attribute(source, klass, job)
    expression, needed = torch_name(source, "torch.nn.PReLU", klass)
    argument_text = "" if math.isnan(slope) else f"init={number(slope)}"
    yield after(source, last.body[-1], [f"self.{name} = {expression}({argument_text})"])
    yield from needed
    if isinstance(call.func, cst.Attribute) and source.resolve(call.func) is None:
        yield from around(source, call, call.func.value, f"self.{name}(", ")")
        return
    yield replace(source, call.func, f"self.{name}")
    if len(call.args) > 1:
        yield Edit(source.span(call.args[0])[1], source.span(call.args[-1])[1], "")


def _free_attribute(source: Source, klass: cst.ClassDef, job: Job) -> str:
    """Return a name that the class does not use; one PReLU serves the class."""
    used = {node.attr.value for node in source.within(klass, cst.Attribute)}
    return next(name for name in ("prelu", "activation", "prelu_activation", "learned_slope") if name not in used)


def _word(job: Job, use: Use, to: str) -> Iterator[Edit]:
    """Yield the edit of ``activation="relu"`` in a recurrent or transformer layer."""
    source, call = use.source, use.node
    if not isinstance(call, cst.Call):
        return
    keyword = word_keyword(source, call)
    allowed = ("tanh", "relu") if keyword == "nonlinearity" else ("relu", "gelu")
    given = argument(call, keyword)
    where = job.where(source, source.line(call))
    if to in allowed:
        text = f'"{to}"'
        if given is not None and isinstance(given.value, cst.SimpleString):
            quote = given.value.quote
            text = f"{quote}{to}{quote}"
    elif keyword == "activation" and to in ACTIVATIONS:
        text, needed = torch_name(source, f"torch.nn.functional.{ACTIVATIONS[to].function}", call)
        yield from needed
    else:
        raise PatchError(
            f"the layer at {where} knows the activations {' and '.join(allowed)} only; {to} needs a layer of your own"
        )
    if given is not None:
        yield replace(source, given.value, text)
    else:
        end = source.span(call.args[-1])[1] if call.args else source.span(call)[1] - 1
        yield Edit(end, end, f", {keyword}={text}" if call.args else f"{keyword}={text}")
