"""A trace: everything that was measured in a run, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from evengrad.core.event import Event, EventKind
from evengrad.core.info import Environment, ModuleInfo, OptimizerInfo, Overhead, ParamInfo, SiteInfo
from evengrad.core.ledger import Ledger, TimeProfile
from evengrad.core.statistic import Statistic

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Series:
    """A quantity at the steps where it was measured: ``steps`` ascending ``[T]``, ``values`` ``[T]``."""

    steps: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> Series:
        """The points whose value is finite."""
        keep = np.isfinite(self.values)
        return Series(self.steps[keep], self.values[keep])

    def between(self, first: int, last: int) -> Series:
        """Return the points at steps ``first`` to ``last``, both included."""
        keep = (self.steps >= first) & (self.steps <= last)
        return Series(self.steps[keep], self.values[keep])

    def median(self) -> float:
        """Return the median of the finite values; nan when there is none."""
        finite = self.values[np.isfinite(self.values)]
        return float(np.median(finite)) if len(finite) else float("nan")

    def last(self) -> float:
        """Return the last value; nan when there is none."""
        return float(self.values[-1]) if len(self.values) else float("nan")

    def first(self) -> float:
        """Return the first value; nan when there is none."""
        return float(self.values[0]) if len(self.values) else float("nan")


EMPTY = Series(np.zeros(0, np.int64), np.zeros(0, np.float64))


@dataclass(frozen=True, eq=False)
class Trace:
    """What was measured in one run.

    ``steps`` counts optimizer steps (rounds of them, when several optimizers take turns). ``series`` maps a statistic
    and its subject to what was measured. ``layers`` are the layer sites in forward order, ``activations`` the
    activation sites.
    """

    steps: int = 0
    script: str = ""
    modules: tuple[ModuleInfo, ...] = ()
    layers: tuple[SiteInfo, ...] = ()
    activations: tuple[SiteInfo, ...] = ()
    parameters: tuple[ParamInfo, ...] = ()
    optimizers: tuple[OptimizerInfo, ...] = ()
    series: Mapping[tuple[Statistic, str], Series] = field(default_factory=dict)
    ledgers: tuple[Ledger, ...] = ()
    time_profiles: tuple[TimeProfile, ...] = ()
    events: tuple[Event, ...] = ()
    environment: Environment = Environment()
    overhead: Overhead = Overhead()
    completed: bool = True  # False: the run was killed, or is still going on

    def get(self, statistic: Statistic, subject: str = "") -> Series:
        """Return the series of a statistic for one subject; empty when it was not measured."""
        return self.series.get((statistic, subject), EMPTY)

    def subjects(self, statistic: Statistic) -> tuple[str, ...]:
        """Return the subjects for which a statistic was measured, in the order in which they were met."""
        return tuple(subject for key, subject in self.series if key is statistic)

    def events_of(self, *kinds: EventKind) -> tuple[Event, ...]:
        """Return the events of the given kinds, by step."""
        return tuple(sorted((e for e in self.events if e.kind in kinds), key=lambda event: event.step))

    def parameter(self, name: str) -> ParamInfo | None:
        """Return a parameter by name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def module(self, name: str) -> ModuleInfo | None:
        """Return a module by name, or None."""
        return next((m for m in self.modules if m.name == name), None)

    def site(self, name: str) -> SiteInfo | None:
        """Return a layer or activation site by name, or None."""
        return next((s for s in (*self.layers, *self.activations) if s.name == name), None)

    def optimizer_of(self, parameter: str) -> OptimizerInfo | None:
        """Return the optimizer that holds a parameter, or None."""
        info = self.parameter(parameter)
        if info is None or not 0 <= info.optimizer < len(self.optimizers):
            return None
        return self.optimizers[info.optimizer]
