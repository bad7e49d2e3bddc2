"""Acts on gradients and rates, around the step of an optimizer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from evengrad.treatment.live import Undo

EditGradients = Callable[[list[Tensor], float], None]
Rate = Callable[[dict[str, object], object], object]  # group and rate in, rate out


def before_step(optimizer: Optimizer, undo: Undo, edit: EditGradients) -> None:
    """Let something edit the gradients before each step, behind the closure where the step is given one.

    Args:
        optimizer: The optimizer.
        undo: Is told how to stop.
        edit: Takes the parameters that have a gradient, and the factor that a gradient scaler has left on it (1 unless
            a fused optimizer unscales by itself).
    """

    def edited() -> None:
        held = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        scale = vars(optimizer).get("grad_scale")
        edit(held, float(scale) if isinstance(scale, Tensor) else 1.0)

    def hook(_: Optimizer, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            edited()
            return None

        def with_edit() -> object:
            loss = closure()
            edited()
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": with_edit}
        return (args[0], with_edit, *args[2:]), kwargs

    undo.add(optimizer.register_step_pre_hook(hook).remove)  # type: ignore[arg-type]


@dataclass(eq=False)
class _Rates:
    """Learning rates that hold during the step only, so that schedulers go on with what they have set."""

    rules: list[Rate] = field(default_factory=list)
    handles: list[RemovableHandle] = field(default_factory=list)
    kept: list[object] = field(default_factory=list)

    def before(self, optimizer: Optimizer, *_: object) -> None:
        self.kept = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            for rule in self.rules:
                group["lr"] = rule(group, group["lr"])

    def after(self, optimizer: Optimizer, *_: object) -> None:
        for group, rate in zip(optimizer.param_groups, self.kept, strict=True):
            group["lr"] = rate


_rates: weakref.WeakKeyDictionary[Optimizer, _Rates] = weakref.WeakKeyDictionary()


def during_step(optimizer: Optimizer, undo: Undo, rule: Rate) -> None:
    """Let a rule set the learning rate of each group during every step; rules act in the order in which they came.

    Args:
        optimizer: The optimizer.
        undo: Is told how to stop.
        rule: Takes a group and its rate, and returns the rate to use.
    """
    rates = _rates.get(optimizer)
    if rates is None:
        # One pair of hooks for all rules: each would otherwise put back what another has set.
        rates = _rates[optimizer] = _Rates()
        rates.handles = [
            optimizer.register_step_pre_hook(rates.before),
            optimizer.register_step_post_hook(rates.after),
        ]
    rates.rules.append(rule)

    def stop() -> None:
        rates.rules.remove(rule)
        if not rates.rules:
            for handle in rates.handles:
                handle.remove()
            _rates.pop(optimizer, None)

    undo.add(stop)


def multiplied(rate: object, factor: float) -> object:
    """Return a learning rate, a number or a tensor, times a factor."""
    assert isinstance(rate, (int, float, Tensor)), "a learning rate is a number"
    return rate * factor
