"""Keep an operation off the edge of its domain.

Settings:
    operation: ``log`` (also log2, log10), ``sqrt`` (and rsqrt), ``div`` (``/``, reciprocal), ``acos``, ``asin``,
        ``atanh``, ``pow``, ``exp``, ``std``, ``norm``, or ``auto``: whichever of them the lines hold.
    eps: distance that is kept, in the unit of the argument; 1e-8 unless given:

        - log, log2, log10, sqrt, rsqrt, pow: ``f(x.clamp_min(eps))``; ``log(softmax(x))`` becomes ``log_softmax(x)``
          and ``log(sigmoid(x))`` ``logsigmoid(x)``, without eps.
        - div: ``a / (b + eps)``.
        - acos, asin, atanh: ``f(x.clamp(-1 + eps, 1 - eps))``.
        - std: ``(x.var(…) + eps).sqrt()``; norm: ``(x.square().sum(…) + eps).sqrt()``.
    bound: ``exp``: ``x.clamp(-bound, bound)``; 80 unless given, in the unit of the argument. Both sides, since where
        one exp overflows its reciprocal, an exp of the opposite sign, is often not far.

``lines`` are obligatory: every such operation on them is guarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, around, replace, torch_name
from evengrad.patches._names import argument
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number

_FAMILY = {
    **dict.fromkeys(("log", "log2", "log10"), "log"),
    **dict.fromkeys(("sqrt", "rsqrt"), "sqrt"),
    **dict.fromkeys(("div", "divide", "true_divide", "reciprocal"), "div"),
    **dict.fromkeys(("acos", "arccos"), "acos"),
    **dict.fromkeys(("asin", "arcsin"), "asin"),
    **dict.fromkeys(("atanh", "arctanh"), "atanh"),
    "pow": "pow",
    "exp": "exp",
    "std": "std",
    "norm": "norm",
}
_MODULES = ("torch", "torch.special", "torch.Tensor", "torch.linalg")
_MODULE_CLASSES = ("torch.nn.Softmax", "torch.nn.Sigmoid")
_ROOTS = {"std", "norm"}  # guarded themselves, they are denominators above 0
_TIGHT = cst.Name | cst.Attribute | cst.Call | cst.Subscript | cst.Integer | cst.Float


@dataclass(frozen=True)
class Guard(AbstractPatch):
    """Rewrites the arguments of operations on given lines."""

    def write(self, job: Job) -> SourceTree:
        """Guard every operation of the kind on the lines."""
        operation = job.change.word("operation", "auto")
        wanted = set(_FAMILY.values()) if operation == "auto" else {_FAMILY.get(operation, operation)}
        edits: list[tuple[Source, Edit]] = []
        places = []
        for line in job.change.lines:
            path = job.tree.find(line)
            if path is None:
                continue
            source = job.source(path)
            places.append(job.where(source, line.line))
            edits += [(source, edit) for edit in _guarded(job, source, line.line, wanted)]
        if not edits:
            where = " and ".join(places) or "the operation"
            raise PatchError(f"at {where}: keep the argument of {operation} at least {_eps(job)} inside its domain")
        return job.edited(edits)


def _eps(job: Job) -> str:
    return number(job.change.number("eps", 1e-8))


def _guarded(job: Job, source: Source, line: int, wanted: set[str]) -> Iterator[Edit]:
    """Yield the edits of the operations on a line; if there are none, of those anywhere in its statement."""
    nodes = [n for n in source.nodes if isinstance(n, cst.Call | cst.BinaryOperation)]
    here = [n for n in nodes if line in source.lines(n) and _operation(source, n) in wanted]
    exact = [n for n in here if (source.head_line(n) if isinstance(n, cst.Call) else source.line(n)) == line]
    if not here and (small := _statement(source, line)) is not None:
        exact = [n for n in nodes if small in source.ancestors(n) and _operation(source, n) in wanted]
    for node in exact or here:
        if isinstance(node, cst.BinaryOperation):
            yield from _operator(job, source, node, wanted)
        elif isinstance(node, cst.Call):
            yield from _call(job, source, node)


def _statement(source: Source, line: int) -> cst.BaseSmallStatement | None:
    lines = [n for n in source.all(cst.SimpleStatementLine) if line in source.lines(n)]
    return lines[0].body[0] if len(lines) == 1 and len(lines[0].body) == 1 else None


def _operation(source: Source, node: cst.CSTNode) -> str:
    """Return which operation a node is, ``""`` for none that is known."""
    if isinstance(node, cst.BinaryOperation):
        if isinstance(node.operator, cst.Divide):
            return "div" if not isinstance(node.right, cst.Integer | cst.Float) else ""
        return "pow" if isinstance(node.operator, cst.Power) and _fractional(source, node.right) else ""
    if not isinstance(node, cst.Call):
        return ""
    resolved = source.resolve(node.func)
    if resolved is not None:
        package, _, name = resolved.rpartition(".")
        return _FAMILY.get(name, "") if package in _MODULES else ""
    if isinstance(node.func, cst.Attribute):
        return _FAMILY.get(node.func.attr.value.removesuffix("_"), "")
    return ""


def _fractional(source: Source, exponent: cst.BaseExpression) -> bool:
    """Return whether a power has an infinite value or derivative at 0; unknown exponents count."""
    try:
        value = float(source.code(exponent))
    except ValueError:
        return True
    return value < 1.0


def _operator(job: Job, source: Source, node: cst.BinaryOperation, wanted: set[str]) -> Iterator[Edit]:
    """Yield the edits of ``a / b`` and ``a ** b``."""
    if isinstance(node.operator, cst.Power):
        yield from _clamped(source, node.left, f".clamp_min({_eps(job)})")
    else:
        if not (isinstance(node.right, cst.Call) and _operation(source, node.right) in _ROOTS & wanted):
            yield from _plus(source, node.right, _eps(job))


def _call(job: Job, source: Source, call: cst.Call) -> Iterator[Edit]:
    """Yield the edits of a function's or method's argument."""
    operation = _operation(source, call)
    value = _argument(source, call)
    if value is None:
        raise PatchError(f"at {job.where(source, source.line(call))}: guard {operation} by {_eps(job)}")
    eps = job.change.number("eps", 1e-8)
    stable = _stable(source, call, value) if operation == "log" else []
    if stable:
        yield from stable
    elif operation in {"log", "sqrt", "pow"}:
        yield from _clamped(source, value, f".clamp_min({number(eps)})")
    elif operation in {"acos", "asin", "atanh"}:
        yield from _clamped(source, value, f".clamp({number(-1 + eps)}, {number(1 - eps)})")
    elif operation == "exp":
        bound = job.change.number("bound", 80.0)
        yield from _clamped(source, value, f".clamp({number(-bound)}, {number(bound)})")
    elif operation == "div":
        second = call.args[-1].value if call.args else value
        yield from _plus(source, second, number(eps))
    else:
        yield from _spread(source, call, value, operation, number(eps))


def _argument(source: Source, call: cst.Call) -> cst.BaseExpression | None:
    """Return what an operation is applied to."""
    if source.resolve(call.func) is None and isinstance(call.func, cst.Attribute):
        return call.func.value
    return call.args[0].value if call.args and not call.args[0].star else None


def _clamped(source: Source, value: cst.BaseExpression, suffix: str) -> Iterator[Edit]:
    """Yield the edits that append a method to an expression."""
    tight = isinstance(value, cst.Name | cst.Attribute | cst.Call | cst.Subscript) or bool(value.lpar)
    if tight:
        end = source.outer_end(value)
        yield Edit(end, end, suffix, once=False)
    else:
        yield from around(source, value, value, "(", f"){suffix}")


def _plus(source: Source, value: cst.BaseExpression, eps: str) -> Iterator[Edit]:
    """Yield the edits that add eps to a denominator."""
    if value.lpar:
        end = source.span(value)[1]
        yield Edit(end, end, f" + {eps}", once=False)
    else:
        yield from around(source, value, value, "(", f" + {eps})")


def _stable(source: Source, call: cst.Call, value: cst.BaseExpression) -> list[Edit]:
    """Return the edits that make ``log(softmax(x))`` one function; none if it is something else."""
    if not isinstance(value, cst.Call) or not source.code(call.func).endswith("log"):
        return []
    resolved = source.resolve(value.func)
    held = _module(source, value)
    if held is not None:
        return _of_module(source, call, value, held)
    method = value.func if resolved is None and isinstance(value.func, cst.Attribute) else None
    inner = method.attr.value if method is not None else (resolved or "").rpartition(".")[2]
    if inner == "softmax":
        name = method.attr if method is not None else value.func
        text = source.code(name).removesuffix("softmax") + "log_softmax"
        return [*around(source, call, value, "", ""), replace(source, name, text)]
    if inner == "sigmoid":
        function, needed = torch_name(source, "torch.nn.functional.logsigmoid", call)
        if method is not None:
            return [*around(source, call, method.value, f"{function}(", ")"), *needed]
        return [*around(source, call, value, "", ""), replace(source, value.func, function), *needed]
    return []


def _module(source: Source, value: cst.Call) -> cst.Call | None:
    """Return the ``nn.Softmax(dim=1)`` that a called module was made by; None if it is no module known here."""
    target = source.code(value.func)
    for made in source.all(cst.Assign):
        if target not in [source.code(t.target) for t in made.targets] or not isinstance(made.value, cst.Call):
            continue
        if source.klass(made) is source.klass(value) and source.resolve(made.value.func) in _MODULE_CLASSES:
            return made.value
    return None


def _of_module(source: Source, call: cst.Call, value: cst.Call, held: cst.Call) -> list[Edit]:
    """Return the edits that make the log of a module's softmax or sigmoid one function; none if its dim is not told."""
    dim = argument(held, "dim", 0)
    if source.resolve(held.func) == "torch.nn.Sigmoid":
        function, needed = torch_name(source, "torch.nn.functional.logsigmoid", call)
        return [*around(source, call, value, "", ""), replace(source, value.func, function), *needed]
    if dim is None or len(value.args) != 1 or not isinstance(dim.value, cst.Integer | cst.UnaryOperation):
        return []
    function, needed = torch_name(source, "torch.log_softmax", call)
    end = source.outer_end(value.args[0].value)
    return [
        *around(source, call, value, "", ""),
        replace(source, value.func, function),
        Edit(end, end, f", dim={source.code(dim.value)}"),
        *needed,
    ]


def _spread(source: Source, call: cst.Call, value: cst.BaseExpression, operation: str, eps: str) -> Iterator[Edit]:
    """Yield the edits of ``std`` and ``norm``, whose derivative at 0 is not finite."""
    method = source.resolve(call.func) is None
    if operation == "norm":
        order = argument(call, "p") or argument(call, "ord")
        positional = [arg for arg in call.args[0 if method else 1 :] if arg.keyword is None]
        if order is not None or positional:
            raise PatchError(f"on line {source.line(call)}, take the root of the sum of squares plus {eps}")
        code = source.code(value) if isinstance(value, _TIGHT) or value.lpar else f"({source.code(value)})"
        rest = ", ".join(source.code(arg) for arg in call.args[0 if method else 1 :])
        yield replace(source, call, f"({code}.square().sum({rest.rstrip(', ')}) + {eps}).sqrt()")
        return
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    start, end = source.span(call)
    first, last = source.span(name)
    yield Edit(start, start, "(", once=False)
    yield Edit(first, last, "var")
    yield Edit(end, end, f" + {eps}).sqrt()", once=False)


PATCH = Guard()
