"""The training loop in source: where optimizers are made, where they step, where backward and clipping are."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from evengrad.core.info import OptimizerInfo
from evengrad.errors import PatchError
from evengrad.patches._base import Job
from evengrad.patches._names import argument, own_targets, same_meaning
from evengrad.patches._source import Source

_NOT_OPTIMIZERS = ("sched", "scaler", "env", "prof", "warm", "pbar", "bar")


@dataclass(frozen=True, eq=False)
class Maker:
    """The call that makes an optimizer."""

    source: Source
    call: cst.Call
    targets: tuple[str, ...]
    info: OptimizerInfo | None

    @property
    def line(self) -> int:
        """The line that it begins on."""
        return self.source.line(self.call)

    @property
    def params(self) -> cst.BaseExpression | None:
        """The expression of what is optimized."""
        found = argument(self.call, "params", 0)
        return found.value if found is not None else None

    @property
    def models(self) -> tuple[str, ...]:
        """The expressions whose ``parameters()`` are optimized, in order."""
        if self.params is None:
            return ()
        names = ("parameters", "named_parameters")
        calls = [c for c in self.source.within(self.params, cst.Call) if isinstance(c.func, cst.Attribute)]
        found = [
            self.source.code(value)
            for c in calls
            if isinstance(c.func, cst.Attribute) and c.func.attr.value in names
            for value in _either(c.func.value)
        ]
        return tuple(dict.fromkeys(found))

    @property
    def statement(self) -> cst.BaseSmallStatement | None:
        """The statement that it is in."""
        return self.source.small(self.call)


def _either(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    """Return the branches of a conditional expression, or an expression itself."""
    return _either(value.body) + _either(value.orelse) if isinstance(value, cst.IfExp) else [value]


@dataclass(frozen=True, eq=False)
class Step:
    """A call of an optimizer's ``step``; ``scaler`` is the expression of the GradScaler that makes it, or ``""``."""

    source: Source
    call: cst.Call
    optimizer: str
    scaler: str
    maker: Maker | None

    @property
    def statement(self) -> cst.BaseSmallStatement:
        """The statement that it is."""
        found = self.source.small(self.call)
        if found is None:
            raise PatchError(f"give the step on line {self.source.line(self.call)} a statement of its own first")
        return found


def makers(job: Job) -> list[Maker]:
    """Return the calls that make the optimizers of a tree: those that the run met, else those of torch.optim."""
    found: list[Maker] = []
    for info in job.facts.optimizers:
        path = job.tree.find(info.source)
        if path is None or info.source is None:
            continue
        source = job.source(path)
        possible = [call for call in source.calls_on(info.source.line) if _makes(source, call, info)]
        # Both branches of a conditional expression are on the line; the run tells which class it was.
        named = [call for call in possible if (source.dotted(call.func) or "").rpartition(".")[2] == info.kind]
        calls = named or possible
        if calls and all(calls[0] is not other.call for other in found):
            found.append(_maker(source, calls[0], info))
    if found:
        return found
    for source in job.sources:
        for call in source.all(cst.Call):
            name = source.resolve(call.func) or ""
            if name.startswith("torch.optim.") and name.count(".") == 2 and name[12:13].isupper():
                found.append(_maker(source, call, None))
    return found


def _maker(source: Source, call: cst.Call, info: OptimizerInfo | None) -> Maker:
    return Maker(source, call, tuple(own_targets(source, call)), info)


def _makes(source: Source, call: cst.Call, info: OptimizerInfo) -> bool:
    """Return whether a call is the construction of an optimizer that was met on its line."""
    name = source.resolve(call.func) or source.dotted(call.func) or ""
    if name.rpartition(".")[2] == info.kind:
        return True
    if name.startswith("torch.optim.") and name.count(".") == 2:
        return True
    # A class from a table or a variable: it is given parameters, and its value is kept.
    given = argument(call, "params", 0)
    if given is None or not call.args:
        return False
    inner = [c.func.attr.value for c in source.within(given, cst.Call) if isinstance(c.func, cst.Attribute)]
    constructs = name.rpartition(".")[2] not in {"list", "filter", "chain", "tuple", "dict"}
    return constructs and any(word in ("parameters", "named_parameters") for word in inner)


def chosen_makers(job: Job) -> list[Maker]:
    """Return the optimizers that a change is about: by its lines, else by its parameters, else all."""
    found = makers(job)
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    by_line = [m for m in found if any((m.source.path, n) in lines for n in m.source.lines(m.call))]
    if by_line:
        return by_line
    indices = {info.optimizer for name in job.change.parameters if (info := job.facts.parameter(name)) is not None}
    by_parameter = [m for m in found if m.info is not None and m.info.index in indices]
    return by_parameter or found


def steps(job: Job) -> list[Step]:
    """Return the calls of optimizers' ``step`` in the tree, in order."""
    known = makers(job)
    found: list[Step] = []
    for source in job.sources:
        for call in source.all(cst.Call):
            step = _step(source, call, known)
            if step is not None:
                found.append(step)
    return found


def _step(source: Source, call: cst.Call, known: list[Maker]) -> Step | None:
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value != "step" or len(call.args) > 1:
        return None
    receiver = source.code(call.func.value)
    if call.args:
        given = source.code(call.args[0].value)
        maker = _maker_of(source, given, call, known)
        if maker is not None or "scaler" in receiver.lower():
            return Step(source, call, given, receiver, maker)
    maker = _maker_of(source, receiver, call, known)
    if maker is not None:
        return Step(source, call, receiver, "", maker)
    last = receiver.rpartition(".")[2].lower()
    if any(word in last for word in _NOT_OPTIMIZERS) or not _zeroed(source, receiver, call):
        return None
    return Step(source, call, receiver, "", known[0] if len(known) == 1 else None)


def _maker_of(source: Source, text: str, at: cst.CSTNode, known: list[Maker]) -> Maker | None:
    """Return the optimizer that an expression means, by its name; None if that is not sure."""
    exact = [m for m in known if text in m.targets]
    if len(exact) > 1:
        exact = [m for m in exact if m.source is source and same_meaning(source, text.partition(".")[0], m.call, at)]
    if len(exact) == 1:
        return exact[0]
    last = text.rpartition(".")[2]
    alike = [m for m in known if last in {target.rpartition(".")[2] for target in m.targets}]
    return alike[0] if len(alike) == 1 else None


def _zeroed(source: Source, receiver: str, call: cst.Call) -> bool:
    """Return whether ``zero_grad`` is called on what steps, or backward in the same function."""
    for other in source.all(cst.Call):
        if isinstance(other.func, cst.Attribute):
            name, value = other.func.attr.value, source.code(other.func.value)
            if name == "zero_grad" and value == receiver:
                return True
            if name == "backward" and source.function(other) is source.function(call) and not call.args:
                return "opt" in receiver.lower()
    return False


def chosen_steps(job: Job) -> list[Step]:
    """Return the steps that a change is about.

    Args:
        job: Its change names lines of steps, of calls in the same function, or of optimizers; none: all steps.

    Returns:
        At least one step.

    Raises:
        PatchError: The tree has none.
    """
    found = steps(job)
    if not found:
        raise PatchError(
            "no call of an optimizer's `step()` is in the source given; make the change where steps are made"
        )
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    by_line = [s for s in found if any((s.source.path, n) in lines for n in s.source.lines(s.call))]
    if by_line:
        return by_line
    chosen = [m.call for m in chosen_makers(job)]
    by_maker = [s for s in found if s.maker is not None and any(s.maker.call is call for call in chosen)]
    return by_maker or found


def method_calls(source: Source, name: str, inside: cst.FunctionDef | None) -> list[cst.Call]:
    """Return the calls of a method that are statements of a function (or of the module), in order."""
    return [
        call
        for call in source.all(cst.Call)
        if isinstance(call.func, cst.Attribute) and call.func.attr.value == name and source.function(call) is inside
    ]


def backwards(source: Source, inside: cst.FunctionDef | None) -> list[cst.Call]:
    """Return the backward passes of a function, ``accelerator.backward(loss)`` included."""
    calls = method_calls(source, "backward", inside)
    calls += [
        call
        for call in source.all(cst.Call)
        if source.resolve(call.func) == "torch.autograd.backward"
        and source.function(call) is inside
        and call not in calls
    ]
    return [call for call in calls if source.small(call) is not None]


def block_of(source: Source, node: cst.CSTNode) -> cst.CSTNode | None:
    """Return the block that the statement of a node is in."""
    return source.nearest(node, (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module))


def backward_before(step: Step) -> cst.Call | None:
    """Return the last backward pass before a step in its function."""
    source = step.source
    start = source.span(step.call)[0]
    found = [c for c in backwards(source, source.function(step.call)) if source.span(c)[0] < start]
    return found[-1] if found else None


def accumulates(step: Step) -> bool:
    """Return whether several backward passes belong to a step: they are in another ``if`` or loop."""
    backward = backward_before(step)
    if backward is None:
        return False
    source = step.source
    around_step = {id(n) for n in source.ancestors(step.call) if isinstance(n, cst.If | cst.For | cst.While)}
    around_backward = {id(n) for n in source.ancestors(backward) if isinstance(n, cst.If | cst.For | cst.While)}
    return around_step != around_backward


def parameters_expression(step: Step) -> str:
    """Return an expression for the parameters that a step changes, valid where it stands."""
    maker, source = step.maker, step.source
    if maker is not None and maker.source is source and maker.params is not None:
        text = source.code(maker.params)
        plain = isinstance(maker.params, cst.Call) and text == f"{'.'.join(maker.models)}.parameters()"
        if plain and same_meaning(source, maker.models[0].partition(".")[0], maker.call, step.call):
            return text
    return f'[p for group in {step.optimizer}.param_groups for p in group["params"]]'


def last_of_step(step: Step) -> cst.BaseSmallStatement:
    """Return the step, or the scaler's update behind it."""
    source = step.source
    updates = [c for c in method_calls(source, "update", source.function(step.call)) if step.scaler]
    same = [c for c in updates if isinstance(c.func, cst.Attribute) and source.code(c.func.value) == step.scaler]
    later = [small for c in same if (small := source.small(c)) and source.span(c)[0] > source.span(step.call)[0]]
    return later[0] if later else step.statement


def refuse_sparse(job: Job) -> None:
    """Raise if an embedding gives sparse gradients, which torch neither clips nor adds to dense ones."""
    for source in job.sources:
        for arg in source.all(cst.Arg):
            if arg.keyword is not None and arg.keyword.value == "sparse" and source.code(arg.value) == "True":
                where = job.where(source, source.line(arg))
                raise PatchError(f"gradients of the layer at {where} are sparse; take sparse=True away there first")
