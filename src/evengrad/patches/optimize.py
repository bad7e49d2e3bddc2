"""Give the optimizer other numbers, or another class.

Settings:
    lr, weight_decay, eps, momentum, beta1, beta2, alpha, nesterov, amsgrad: new values.
    lr_factor: factor on the learning rate that is there, "1"; written as a number where a number stands, else as a
        product (``lr=args.lr * 0.1``). It reaches the rates of every parameter group, ``lr`` only a single rate.
    schedule: ``constant``: schedulers are no longer stepped.
    optimizer: name of a class of torch.optim; arguments that it lacks are dropped (``momentum`` for Adam).

``lines``: where the optimizers are made; none: the one that holds ``parameters``; neither: the only one, and it is
refused if there are several. The constructor's call is edited: keyword or position, a literal or a name of the
config; a scheduler that sets the rate by itself (OneCycleLR, CyclicLR) is told to the user.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.core.plan import Setting
from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, remove, replace, torch_name
from evengrad.patches._loop import Maker, chosen_makers
from evengrad.patches._names import argument, own_targets
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree
from evengrad.patches._words import number, product

_COMMON = ("foreach", "maximize", "differentiable")
_ARGUMENTS = {
    "SGD": ("params", "lr", "momentum", "dampening", "weight_decay", "nesterov", *_COMMON, "fused"),
    "Adam": ("params", "lr", "betas", "eps", "weight_decay", "amsgrad", *_COMMON, "capturable", "fused"),
    "AdamW": ("params", "lr", "betas", "eps", "weight_decay", "amsgrad", *_COMMON, "capturable", "fused"),
    "NAdam": ("params", "lr", "betas", "eps", "weight_decay", "momentum_decay", *_COMMON, "capturable"),
    "RAdam": ("params", "lr", "betas", "eps", "weight_decay", *_COMMON, "capturable"),
    "Adamax": ("params", "lr", "betas", "eps", "weight_decay", *_COMMON, "capturable"),
    "RMSprop": ("params", "lr", "alpha", "eps", "weight_decay", "momentum", "centered", *_COMMON, "capturable"),
    "Adagrad": ("params", "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", *_COMMON),
    "Adadelta": ("params", "lr", "rho", "eps", "weight_decay", *_COMMON, "capturable"),
    "ASGD": ("params", "lr", "lambd", "alpha", "t0", "weight_decay", *_COMMON, "capturable"),
    "Rprop": ("params", "lr", "etas", "step_sizes", *_COMMON, "capturable"),
    "SparseAdam": ("params", "lr", "betas", "eps", "maximize"),
    "LBFGS": ("params", "lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size"),
}
_OWN_RATE = ("OneCycleLR", "CyclicLR")


@dataclass(frozen=True)
class Optimize(AbstractPatch):
    """Edits the call that makes the optimizer."""

    def write(self, job: Job) -> SourceTree:
        """Set, add or drop arguments of the optimizers that are meant."""
        found = chosen_makers(job)
        wanted = ", ".join(f"{name}={value}" for name, value in job.change.settings)
        if not found:
            raise PatchError(f"the optimizer is not made in the source given; give it {wanted} where it is made")
        if len(found) > 1 and not job.change.lines:
            places = " and ".join(job.where(maker.source, maker.line) for maker in found)
            raise PatchError(f"there are several optimizers, at {places}; give {wanted} to the one that is meant")
        edits: list[tuple[Source, Edit]] = []
        for maker in found:
            edits += [(maker.source, edit) for edit in _Call(job, maker).edits()]
        return job.edited(edits)


class _Call:
    """The edits of one constructor call."""

    def __init__(self, job: Job, maker: Maker) -> None:
        self._job, self._maker, self._source, self._call = job, maker, maker.source, maker.call
        name = (maker.source.resolve(maker.call.func) or maker.source.dotted(maker.call.func) or "").rpartition(".")[2]
        known = maker.info.kind if maker.info is not None else name
        self._kind = name if name in _ARGUMENTS else known
        self._new_kind = job.change.word("optimizer") or self._kind
        self._added: list[str] = []
        self._starred: dict[str, str] = {}

    def edits(self) -> Iterator[Edit]:
        """Yield what turns the call into the one that is wanted."""
        if self._new_kind != self._kind:
            yield from self._new_class()
        betas: dict[int, float] = {}
        for name, value in self._job.change.settings:
            if name in {"beta1", "beta2"}:
                betas[int(name[-1]) - 1] = float(value)
            elif name == "lr_factor":
                yield from self._scaled_rate(float(value))
            elif name == "lr":
                self._refuse_other_rates()
                yield from self._set("lr", _shown(value))
            elif name == "schedule":
                yield from self._unscheduled()
            elif name != "optimizer":
                yield from self._set(name, _shown(value))
        if betas:
            yield from self._set_betas(betas)
        yield from self._additions()

    def _set(self, name: str, text: str) -> Iterator[Edit]:
        """Set an argument where it stands, or note that it must be added."""
        allowed = _ARGUMENTS.get(self._new_kind)
        if allowed is not None and name not in allowed:
            raise PatchError(
                f"{self._new_kind} at {self._where()} has no argument {name}; use an optimizer that has, or leave it"
            )
        found = self._given(name)
        if allowed is None and found is None and name not in {"lr", "weight_decay"}:
            raise PatchError(f"give {self._new_kind} at {self._where()} {name}={text}, if it has such an argument")
        if found is not None:
            yield replace(self._source, found.value, text)
        elif any(arg.star == "**" for arg in self._call.args):
            self._starred[name] = text
        else:
            self._added.append(f"{name}={text}")

    def _given(self, name: str) -> cst.Arg | None:
        positions = _ARGUMENTS.get(self._kind, ("params", "lr"))
        return argument(self._call, name, positions.index(name) if name in positions else None)

    def _set_betas(self, betas: dict[int, float]) -> Iterator[Edit]:
        found = self._given("betas")
        if found is not None and isinstance(found.value, cst.Tuple) and len(found.value.elements) == 2:
            for index, value in betas.items():
                yield replace(self._source, found.value.elements[index].value, number(value))
            return
        group = dict(self._maker.info.groups[0]) if self._maker.info and self._maker.info.groups else {}
        if found is not None and not group and len(betas) < 2:
            raise PatchError(f"set betas of the optimizer at {self._where()}: {betas}")
        both = [betas.get(0, group.get("beta1", 0.9)), betas.get(1, group.get("beta2", 0.999))]
        yield from self._set("betas", f"({number(both[0])}, {number(both[1])})")

    def _scaled_rate(self, factor: float) -> Iterator[Edit]:
        """Multiply the learning rate, and those of parameter groups."""
        self._refuse_schedule()
        groups = self._group_rates()
        for value in groups:
            yield replace(self._source, value, _scaled(self._source, value, factor))
        found = self._given("lr")
        if found is not None:
            yield replace(self._source, found.value, _scaled(self._source, found.value, factor))
        elif not groups:
            known = self._maker.info.groups if self._maker.info is not None else ()
            if not known or "lr" not in known[0]:
                raise PatchError(f"multiply the learning rate of the optimizer at {self._where()} by {number(factor)}")
            yield from self._set("lr", number(product(known[0]["lr"], factor)))

    def _group_rates(self) -> list[cst.BaseExpression]:
        """Return the values of ``"lr"`` in parameter groups that are written in the call."""
        params = self._maker.params
        if params is None:
            return []
        elements = self._source.within(params, cst.DictElement)
        rates = [e.value for e in elements if isinstance(e.key, cst.SimpleString) and e.key.evaluated_value == "lr"]
        calls = [c for c in self._source.within(params, cst.Call) if self._source.dotted(c.func) == "dict"]
        rates += [found.value for c in calls if (found := argument(c, "lr")) is not None]
        return rates

    def _unscheduled(self) -> Iterator[Edit]:
        """Yield the edits that take the steps of the optimizer's schedulers away."""
        source = self._source
        names = [
            target
            for call in source.all(cst.Call)
            if call.args and source.code(call.args[0].value) in self._maker.targets
            for target in own_targets(source, call)
            if "sched" in target.lower() or (source.dotted(call.func) or "").endswith(("LR", "Plateau"))
        ]
        stepped = [
            small
            for call in source.all(cst.Call)
            if isinstance(call.func, cst.Attribute) and call.func.attr.value == "step"
            if source.code(call.func.value) in names and (small := source.small(call)) is not None
        ]
        if not stepped:
            handed = [edit for name in names for edit in self._handed_over(name)]
            if handed:
                yield from handed
                return
            raise PatchError(f"stop stepping the scheduler of the optimizer at {self._where()}")
        yield from (remove(source, small) for small in stepped)

    def _refuse_other_rates(self) -> None:
        self._refuse_schedule()
        if self._group_rates():
            rate = number(self._job.change.number("lr"))
            raise PatchError(
                f"the parameter groups at {self._where()} have learning rates of their own; bring them to {rate}"
            )

    def _refuse_schedule(self) -> None:
        """Raise if a scheduler overrides the rate that the optimizer is given."""
        for call in self._source.all(cst.Call):
            name = (self._source.dotted(call.func) or "").rpartition(".")[2]
            if name in _OWN_RATE and call.args and self._source.code(call.args[0].value) in self._maker.targets:
                wanted = ", ".join(f"{key}={value}" for key, value in self._job.change.settings)
                raise PatchError(
                    f"{name} at {self._job.where(self._source, self._source.line(call))} sets the learning rate; "
                    f"change its max_lr there ({wanted})"
                )

    def _handed_over(self, scheduler: str) -> Iterator[Edit]:
        """Yield the edits that no longer hand a scheduler to a function that can do without: its default is None."""
        functions = [f for source in self._job.sources for f in source.all(cst.FunctionDef)]
        for call in self._source.all(cst.Call):
            last = (self._source.dotted(call.func) or "").rpartition(".")[2]
            optional = {
                param.name.value
                for function in functions
                if function.name.value == last
                for param in (*function.params.params, *function.params.kwonly_params)
                if isinstance(param.default, cst.Name) and param.default.value == "None"
            }
            for index, arg in enumerate(call.args):
                given = arg.keyword is not None and arg.keyword.value in optional
                if index and given and self._source.code(arg.value) == scheduler:
                    yield _without(self._source, call, index)

    def _new_class(self) -> Iterator[Edit]:
        """Yield the edits of the class and of the arguments that it lacks."""
        if self._new_kind not in _ARGUMENTS or self._kind == "SparseAdam":
            raise PatchError(f"use {self._new_kind} in place of {self._kind} at {self._where()}")
        expression, needed = torch_name(self._source, f"torch.optim.{self._new_kind}", self._call)
        func = self._call.func
        if isinstance(func, cst.Attribute) and (self._source.resolve(func) or "").startswith("torch.optim."):
            expression, needed = f"{self._source.code(func.value)}.{self._new_kind}", ()
        yield replace(self._source, func, expression)
        yield from needed
        old, new = _ARGUMENTS.get(self._kind, ("params", "lr")), _ARGUMENTS[self._new_kind]
        for index, arg in enumerate(self._call.args):
            name = (
                arg.keyword.value
                if arg.keyword is not None
                else old[index]
                if index < len(old) and not arg.star
                else ""
            )
            if name and name not in new:
                yield _without(self._source, self._call, index)
            elif name and arg.keyword is None and name not in {"params", "lr"}:
                start = self._source.span(arg.value)[0]
                yield Edit(start, start, f"{name}=")

    def _additions(self) -> Iterator[Edit]:
        """Yield the edit that adds arguments behind the last one."""
        for arg in self._call.args:
            if arg.star == "**" and self._starred:
                items = "".join(f', "{name}": {text}' for name, text in self._starred.items())
                yield replace(self._source, arg.value, f"{{**{self._source.code(arg.value)}{items}}}")
        if not self._added:
            return
        if not self._call.args:
            raise PatchError(f"give the optimizer at {self._where()} {', '.join(self._added)}")
        end = self._source.span(self._call.args[-1])[1]
        yield Edit(end, end, "".join(f", {text}" for text in self._added))

    def _where(self) -> str:
        return self._job.where(self._source, self._maker.line)


def _without(source: Source, call: cst.Call, index: int) -> Edit:
    """Return the edit that takes an argument out, with the comma before it."""
    return Edit(source.outer_end(call.args[index - 1].value), source.outer_end(call.args[index].value), "")


def _scaled(source: Source, value: cst.BaseExpression, factor: float) -> str:
    """Return an expression times a factor."""
    code = source.code(value)
    try:
        literal = ast.literal_eval(code)
    except (ValueError, SyntaxError):
        literal = None
    if isinstance(literal, int | float):
        return number(product(literal, factor))
    simple = isinstance(value, cst.Name | cst.Attribute | cst.Call | cst.Subscript)
    return f"{code} * {number(factor)}" if simple else f"({code}) * {number(factor)}"


def _shown(value: Setting) -> str:
    return number(value) if isinstance(value, float) else repr(value)


PATCH = Optimize()
