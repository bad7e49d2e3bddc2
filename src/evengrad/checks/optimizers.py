"""The optimizer that training will use, as far as a check needs to know it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import nn
from torch.optim import Optimizer

from evengrad.core.info import OptimizerInfo
from evengrad.errors import UsageError

# Class, default learning rate and further numbers of torch's own optimizers.
_KNOWN: Final[Mapping[str, tuple[str, float, Mapping[str, float]]]] = {
    "sgd": ("SGD", math.nan, {"momentum": 0.0}),
    "momentum": ("SGD", math.nan, {"momentum": 0.9}),
    "adam": ("Adam", 1e-3, {"eps": 1e-8}),
    "adamw": ("AdamW", 1e-3, {"eps": 1e-8}),
    "nadam": ("NAdam", 2e-3, {"eps": 1e-8}),
    "radam": ("RAdam", 1e-3, {"eps": 1e-8}),
    "rmsprop": ("RMSprop", 1e-2, {"eps": 1e-8}),
    "adagrad": ("Adagrad", 1e-2, {"eps": 1e-10}),
    "lion": ("Lion", 1e-4, {}),
}


@dataclass(frozen=True, eq=False)
class OptimizerChoice:
    """An optimizer by class and numbers; ``kind`` is "" when none was named.

    ``members`` are the ids of the parameters that a live one holds; None: it is to hold all that require a gradient.
    """

    kind: str = ""
    rate: float = math.nan
    eps: float = 0.0
    momentum: float = 0.0
    members: frozenset[int] | None = None
    groups: tuple[Mapping[str, float], ...] = field(default=())

    @property
    def named(self) -> bool:
        """Whether the user has said which optimizer it will be."""
        return bool(self.kind)

    @property
    def adaptive(self) -> bool:
        """Whether its step does not scale with the gradient."""
        return self.named and OptimizerInfo(0, self.kind).family == "adaptive"

    @property
    def words(self) -> str:
        """Name and learning rate: ``Adam lr 0.001``."""
        return f"{self.kind} lr {self.rate:g}" if self.named and math.isfinite(self.rate) else self.kind

    def infos(self) -> tuple[OptimizerInfo, ...]:
        """Return it as a trace names it."""
        return (OptimizerInfo(0, self.kind, self.groups),) if self.named else ()

    def held(self, parameters: Mapping[str, nn.Parameter]) -> frozenset[str]:
        """Return the names of the parameters that it holds."""
        if self.members is None:
            return frozenset(name for name, parameter in parameters.items() if parameter.requires_grad)
        return frozenset(name for name, parameter in parameters.items() if id(parameter) in self.members)


def choice_of(given: Optimizer | str | None) -> OptimizerChoice:
    """Return what is known of an optimizer: a live one, or a text such as ``"adam:1e-3"``.

    Raises:
        UsageError: The text names no optimizer that is known, or no learning rate.
    """
    if given is None:
        return OptimizerChoice()
    if isinstance(given, str):
        return _parse(given)
    if not isinstance(given, Optimizer):
        raise UsageError(f"expected an optimizer or a text such as 'adam:1e-3', got {type(given).__name__}")
    groups = tuple(
        {key: float(value) for key, value in group.items() if isinstance(value, (int, float))}
        for group in given.param_groups
    )
    members = frozenset(id(parameter) for group in given.param_groups for parameter in group["params"])
    rate = max((group.get("lr", math.nan) for group in groups), default=math.nan)
    first: Mapping[str, float] = groups[0] if groups else {}
    return OptimizerChoice(
        type(given).__name__, rate, first.get("eps", 0.0), first.get("momentum", 0.0), members, groups
    )


def _parse(text: str) -> OptimizerChoice:
    name, _, number = text.partition(":")
    found = _KNOWN.get(name.strip().lower())
    if found is None:
        raise UsageError(f"--optimizer is {text!r}: expected {', '.join(_KNOWN)}, with a learning rate: adam:1e-3")
    kind, rate, numbers = found
    if number:
        try:
            rate = float(number)
        except ValueError as error:
            raise UsageError(f"--optimizer is {text!r}: expected a learning rate after the colon: adam:1e-3") from error
        if not (rate > 0 and math.isfinite(rate)):
            raise UsageError(f"--optimizer is {text!r}: expected a learning rate above 0: adam:1e-3")
    group = {"lr": rate, **numbers} if math.isfinite(rate) else dict(numbers)
    return OptimizerChoice(kind, rate, numbers.get("eps", 0.0), numbers.get("momentum", 0.0), None, (group,))
