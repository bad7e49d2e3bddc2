"""Put another function at activation sites, or none."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._calls import Call, Invocation, Place, calls_of_sites, during_forward
from evengrad.treatment.acts._layers import add_parameters, hook, like
from evengrad.treatment.initialisation.by_order import activation_of
from evengrad.treatment.initialisation.layers import layers_of
from evengrad.treatment.live import LiveRun, Undo

_PLAIN: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU, "celu": nn.CELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish,
    "softplus": nn.Softplus, "hardswish": nn.Hardswish, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
    "hardtanh": nn.Hardtanh, "identity": nn.Identity, "leaky-relu": nn.LeakyReLU, "prelu": nn.PReLU,
}  # fmt: skip


@dataclass(frozen=True)
class Activate(AbstractAct):
    """Exchanges activation modules in their parents, and activation functions at the calls that make up a site.

    The calls of a functional site (``fc1:sigmoid``) are found by one forward pass of the batch, or taken to be those on
    the change's lines. They are exchanged while the model's own forward pass runs, and only where the user's code
    makes them: gates inside torch's recurrent layers, attention and losses stay. A PReLU learns: its slope joins the
    optimizer's last group.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Exchange what stands at the sites."""
        to = change.word("to")
        if to not in _PLAIN:
            raise TreatmentError(f"expected one of {', '.join(_PLAIN)}, got '{to}'")
        named = run.named
        functional = [name for name in change.modules if name not in named]
        calls: dict[Call, nn.Module] = {}
        places: dict[Place, nn.Module] = {}
        if functional and (run.batch is not None or not change.lines):
            sites = calls_of_sites(run)
            missing = [name for name in functional if name not in sites]
            if missing:
                raise TreatmentError(f"no activation is called at `{missing[0]}` (sites: {', '.join(sites)})")
            for name in functional:
                calls.update(dict.fromkeys(sites[name], self._new(change, run)))
        elif functional or not change.modules:
            if not change.lines:
                raise TreatmentError("expected activation sites, or lines of source, to put another function at")
            places = {(os.path.abspath(line.file), line.line): self._new(change, run) for line in change.lines}
        for name in change.modules:
            if name in named:
                self._exchange(name, named[name], change, run, undo)
        if calls or places:
            during_forward(run, undo, _stand_in(calls, places))

    def _exchange(self, name: str, module: nn.Module, change: Change, run: LiveRun, undo: Undo) -> None:
        """Put a new module where one is; behind a layer, apply the function to what it gives."""
        if next(layers_of(name, module), None) is not None:
            new = self._new(change, run)
            hook(undo, module.register_forward_hook(_behind(new)))
            return
        softmax = isinstance(module, nn.Softmax | nn.LogSoftmax | nn.Softmin)
        if activation_of(module) is None and not softmax and not isinstance(module, nn.PReLU | nn.RReLU | nn.Identity):
            raise TreatmentError(f"expected an activation at `{name}`, it is a {type(module).__name__}")
        parent, _, local = name.rpartition(".")
        if not local or module is run.root:
            raise TreatmentError("the model itself is the activation; there is no parent to put another one into")
        run.module(parent)._modules[local] = self._new(change, run)

    @staticmethod
    def _new(change: Change, run: LiveRun) -> nn.Module:
        """Return a new activation, in the optimizer if it learns."""
        to, slope = change.word("to"), change.number("slope")
        if math.isnan(slope):
            made = _PLAIN[to]()
        elif to == "leaky-relu":
            made = nn.LeakyReLU(slope)
        else:
            made = nn.PReLU(init=slope) if to == "prelu" else _PLAIN[to]()
        add_parameters(run, list(made.parameters()))
        return like(run, made)


def _stand_in(calls: dict[Call, nn.Module], places: dict[Place, nn.Module]) -> Callable[[Call, Invocation], object]:
    def visit(call: Call, invocation: Invocation) -> object:
        other = calls.get(call) or places.get(call[0])
        return invocation.make() if other is None else invocation.replaced_by(other)

    return visit


def _behind(new: nn.Module) -> Callable[[nn.Module, object, Tensor], object]:
    def apply(layer: nn.Module, inputs: object, output: Tensor) -> object:
        return new(output)

    return apply


ACT = Activate()
