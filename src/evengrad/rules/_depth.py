"""The gradient across depth: which ledgers speak for a run, and which layers they starve."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from evengrad.core.info import SiteInfo, SourceLine
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._late import late_step


@dataclass(frozen=True)
class Depth:
    """The ledgers of one optimizer's backward passes.

    ``ledgers`` are all whose norms are finite, ``late`` those of the later half of the run, ``typical`` the late one of
    median attenuation.
    """

    optimizer: int
    ledgers: tuple[Ledger, ...]
    late: tuple[Ledger, ...]
    typical: Ledger

    @property
    def attenuation(self) -> float:
        """Median attenuation over the later half, in decades."""
        return self.typical.attenuation

    @property
    def last(self) -> float:
        """Attenuation at the last probe, in decades."""
        return self.ledgers[-1].attenuation

    def below(self, bound: float) -> bool:
        """Return whether the late attenuation stays at or below a bound, up to the last probe."""
        return self.attenuation <= bound and self.last <= bound

    def above(self, bound: float) -> bool:
        """Return whether the late attenuation stays at or above a bound, up to the last probe."""
        return self.attenuation >= bound and self.last >= bound

    def since(self, bound: float) -> int:
        """Return the step from which on every probe lies beyond the bound (below a negative, above a positive one)."""
        step = self.ledgers[-1].step
        for ledger in reversed(self.ledgers):
            beyond = ledger.attenuation <= bound if bound < 0 else ledger.attenuation >= bound
            if not beyond:
                break
            step = ledger.step
        return step


def depths(trace: Trace, *, in_time: bool = False) -> tuple[Depth, ...]:
    """Return the depth of each optimizer that has ledgers.

    Args:
        trace: The run.
        in_time: Take the paths that reuse a weight step after step (hand-written recurrence) in place of the others.
    """
    found = []
    for optimizer in sorted({ledger.optimizer for ledger in trace.ledgers}):
        usable = [
            ledger
            for ledger in trace.ledgers
            if ledger.optimizer == optimizer and not math.isnan(ledger.attenuation)
            and (ledger.steps_in_time > 1) is in_time and ledger.attenuation < math.inf
        ]  # fmt: skip
        usable.sort(key=lambda ledger: ledger.step)
        if usable:
            begin = late_step([ledger.step for ledger in usable])
            later = tuple(ledger for ledger in usable if ledger.step >= begin)
            ranked = sorted(later, key=lambda ledger: ledger.attenuation)
            found.append(Depth(optimizer, tuple(usable), later, ranked[len(ranked) // 2]))
    return tuple(found)


def potentials(trace: Trace, ledger: Ledger) -> dict[str, float]:
    """Return, for each weight layer on the path, the attenuation between the last layer's output and its own.

    Taken from the gradients at the layers' outputs, since a ledger adds up all uses of one operation in one entry; from
    the entries where those are missing.

    Returns:
        Decades by layer, in path order: 0 for the last layer.
    """
    levels: dict[str, float] = {}
    total = 0.0
    for entry in ledger.entries:
        if entry.kind in (EntryKind.WEIGHT, EntryKind.RECURRENT):
            levels.setdefault(entry.module, total)
        total = total + entry.decades if math.isfinite(entry.decades) and total > -math.inf else -math.inf
    levels[ledger.first] = ledger.attenuation
    top = _gradient(trace, ledger.last, ledger.step)
    for module in levels:
        size = _gradient(trace, module, ledger.step)
        if top > 0 and module not in (ledger.first, ledger.last) and not math.isnan(size):
            levels[module] = math.log10(size / top) if size > 0 else -math.inf
    return levels


def _gradient(trace: Trace, module: str, step: int) -> float:
    """Return the gradient at a layer's output at one step; nan where it was not measured."""
    return trace.get(Statistic.GRAD_OUTPUT_NORM, module).between(step, step).last()


def starved(trace: Trace, ledger: Ledger, level: float) -> tuple[str, ...]:
    """Return the layers on the path whose gradient is at or below ``level`` decades, nearest the input first."""
    return tuple(module for module, decades in reversed(potentials(trace, ledger).items()) if decades <= level)


def sites(trace: Trace, modules: Iterable[str]) -> tuple[SiteInfo, ...]:
    """Return the layer sites that have, or lie in, the named modules."""
    wanted = set(modules)
    return tuple(site for site in trace.layers if site.name in wanted or site.module in wanted)


def parameters(trace: Trace, modules: Iterable[str]) -> tuple[str, ...]:
    """Return the parameters of the named layers that an optimizer holds."""
    wanted = tuple(modules)
    named = [name for site in sites(trace, wanted) for name in site.parameters]
    named += [info.name for info in trace.parameters if info.module in wanted]
    return tuple(dict.fromkeys(n for n in named if (i := trace.parameter(n)) is not None and i.optimizer >= 0))


def source_lines(trace: Trace, modules: Iterable[str]) -> tuple[SourceLine, ...]:
    """Return where the user's code builds or calls the named modules, each line once."""
    found: dict[SourceLine, None] = {}
    for module in modules:
        site, info = trace.site(module), trace.module(module)
        line = (info.defined if info else None) or (site.source if site else None) or (info.called if info else None)
        if line is not None:
            found[line] = None
    return tuple(found)


def shown(modules: Iterable[str], most: int = 3) -> str:
    """Return a few module names, ``a, b, … z``: the same in every language."""
    names = tuple(modules)
    return ", ".join(names) if len(names) <= most + 1 else ", ".join((*names[:most], "…", names[-1]))
