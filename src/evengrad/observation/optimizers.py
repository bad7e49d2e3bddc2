"""The optimizers of a run: their parameters by name, their turns, their settings."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor
from torch.optim import Optimizer

from evengrad.core.info import OptimizerInfo, ParamInfo
from evengrad.observation.registry import Registry
from evengrad.observation.sources import line_of


@dataclass(eq=False)
class Held:
    """An optimizer and its parameters, in the order of its groups."""

    index: int
    reference: weakref.ref[Optimizer]
    place: tuple[str, int] | None
    names: list[str] = field(default_factory=list)
    parameters: list[weakref.ref[Tensor]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    described: list[ParamInfo] = field(default_factory=list)  # values: they outlive the parameters
    info: OptimizerInfo | None = None
    covered_by_clip: bool = False
    rates: list[float] = field(default_factory=list)

    def live(self) -> list[Tensor | None]:
        """Return the parameters, None for one that is gone."""
        return [reference() for reference in self.parameters]

    def by_name(self) -> dict[str, Tensor]:
        """Return the live parameters by name."""
        pairs = zip(self.names, self.live(), strict=True)
        return {name: parameter for name, parameter in pairs if parameter is not None}


class Optimizers:
    """Every optimizer seen, in the order in which they were made (or first stepped)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: dict[int, Held] = {}
        self._count = 0
        self._turn: set[int] = set()
        self.step = 0  # number of the current round
        self.stepped: set[int] = set()

    def add(self, optimizer: Optimizer, place: tuple[str, int] | None = None) -> Held:
        """Note an optimizer; returns its record."""
        held = self._held.get(id(optimizer))
        if held is None or held.reference() is not optimizer:
            held = Held(self._count, weakref.ref(optimizer), place)
            self._count += 1
            self._held[id(optimizer)] = held
        return held

    def __iter__(self) -> Iterator[Held]:
        return iter([held for held in self._held.values() if held.reference() is not None])

    def held_parameters(self) -> Iterator[Tensor]:
        """Yield every parameter that an optimizer holds."""
        for held in self:
            optimizer = held.reference()
            for group in optimizer.param_groups if optimizer is not None else ():
                yield from group["params"]

    def name_everything(self) -> None:
        """Name every module and parameter afresh."""
        self._registry.name_everything(list(self.held_parameters()))
        for held in self:
            self.refresh(held)

    def refresh(self, held: Held) -> bool:
        """Bring an optimizer's names up to date; returns whether it holds parameters that have no name yet."""
        optimizer = held.reference()
        if optimizer is None:
            return False
        names = self._registry.parameter_names
        held_names: list[str] = []
        parameters: list[weakref.ref[Tensor]] = []
        groups: list[int] = []
        unknown = False
        for number, group in enumerate(optimizer.param_groups):
            for position, parameter in enumerate(group["params"]):
                name = names.get(id(parameter))
                unknown = unknown or name is None
                held_names.append(name or f"param_groups[{number}][{position}]")
                parameters.append(weakref.ref(parameter))
                groups.append(number)
        held.names, held.parameters, held.groups = held_names, parameters, groups
        held.described = [
            _describe(name, parameter(), group)
            for name, parameter, group in zip(held_names, parameters, groups, strict=True)
        ]
        held.info = OptimizerInfo(
            held.index,
            type(optimizer).__name__,
            tuple(_numbers(group) for group in optimizer.param_groups),
            line_of(*held.place) if held.place else None,
        )
        return unknown

    def is_stale(self, held: Held) -> bool:
        """Return whether an optimizer's parameters have changed since ``refresh``."""
        optimizer = held.reference()
        if optimizer is None or not held.names:
            return True
        if sum(len(group["params"]) for group in optimizer.param_groups) != len(held.names):
            return True
        first = optimizer.param_groups[0]["params"]
        return bool(first) and held.parameters[0]() is not first[0]

    def begin_step(self, held: Held) -> int:
        """Return the number of the round that an optimizer's step belongs to.

        Optimizers that take turns (a generator's and a discriminator's) share a round; an optimizer that steps again
        opens the next one, and so does one that comes when whole rounds have passed without it.
        """
        newcomer = held.index not in self.stepped and self.step >= 1
        if held.index in self._turn or newcomer:
            self.step += 1
            self._turn = set()
        self._turn.add(held.index)
        self.stepped.add(held.index)
        return self.step

    def skip(self, steps: int) -> None:
        """Count steps of a lone optimizer that went by unattended."""
        self.step += steps

    def coming_step(self) -> int:
        """Return the number that the next step of the optimizer whose turn it is will probably have."""
        active = self.stepped or {0}
        return self.step + 1 if self._turn >= active and self._turn else self.step

    def count(self) -> int:
        """Return how many rounds have begun."""
        return self.step + 1 if self.stepped else 0

    def infos(self) -> tuple[OptimizerInfo, ...]:
        """Return the optimizers as values, by index."""
        return tuple(held.info for held in sorted(self._held.values(), key=lambda h: h.index) if held.info is not None)

    def parameter_infos(self) -> tuple[ParamInfo, ...]:
        """Return every held parameter as a value; a parameter in two optimizers once, with the first."""
        found: dict[str, ParamInfo] = {}
        positions = {info.index: position for position, info in enumerate(self.infos())}
        for held in sorted(self._held.values(), key=lambda h: h.index):
            for info in held.described:
                found.setdefault(info.name, replace(info, optimizer=positions.get(held.index, -1)))
        return tuple(found.values())


def _describe(name: str, parameter: Tensor | None, group: int) -> ParamInfo:
    """Return a parameter as a value."""
    assert parameter is not None, "described while its optimizer holds it"
    return ParamInfo(
        name=name,
        shape=tuple(parameter.shape),
        dtype=str(parameter.dtype).removeprefix("torch."),
        requires_grad=parameter.requires_grad,
        group=group,
        module=name.rpartition(".")[0],
    )


def _numbers(group: Mapping[str, object]) -> Mapping[str, float]:
    """Return the numeric settings of a param group, flattened: ``betas`` gives ``beta1`` and ``beta2``."""
    numbers: dict[str, float] = {}
    for key, value in group.items():
        if key == "params":
            continue
        if isinstance(value, (bool, int, float)) or (
            isinstance(value, Tensor) and value.numel() == 1 and value.device.type == "cpu"
        ):
            numbers[key] = float(value)
        elif isinstance(value, tuple):
            name = key.rstrip("s")
            numbers |= {f"{name}{i + 1}": float(v) for i, v in enumerate(value) if isinstance(v, (int, float))}
    return numbers
