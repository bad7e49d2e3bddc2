"""The gradient across depth: which ledgers speak for a run, and which layers they starve."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from evengrad.core.info import SiteInfo, SourceLine
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._late import typical


@dataclass(frozen=True)
class Depth:
    """The ledgers of one optimizer's backward passes.

    ``ledgers`` are all whose norms are finite, by step; ``typical`` is the one that speaks for the run.
    """

    optimizer: int
    ledgers: tuple[Ledger, ...]
    typical: Ledger

    @property
    def attenuation(self) -> float:
        """Attenuation that speaks for the run, in decades."""
        return self.typical.attenuation

    @property
    def last(self) -> float:
        """Attenuation at the last probe, in decades."""
        return self.ledgers[-1].attenuation

    @property
    def largest(self) -> Ledger:
        """The ledger with the highest attenuation of all: growth at one probe can wreck what later ones measure."""
        return max(self.ledgers, key=lambda ledger: ledger.attenuation)

    def since(self, bound: float) -> int:
        """Return the first step at which a probe lies beyond the bound (below a negative, above a positive one)."""
        beyond = (x.step for x in self.ledgers if (x.attenuation <= bound if bound < 0 else x.attenuation >= bound))
        return next(beyond, self.ledgers[-1].step)


def depths(trace: Trace, *, failing: bool = False, in_time: bool = False) -> tuple[Depth, ...]:
    """Return the depth of each optimizer that has ledgers.

    Args:
        trace: The run.
        failing: The run goes nowhere: what held for a part of it counts, since it may have kept the run from learning.
            Otherwise only what holds in the later half: what is gone by then was a beginning.
        in_time: Take the paths that reuse a weight step after step (hand-written recurrence) in place of the others.
    """
    found = []
    for optimizer in sorted({ledger.optimizer for ledger in trace.ledgers}):
        usable = [
            ledger
            for ledger in trace.ledgers
            if ledger.optimizer == optimizer and not math.isnan(ledger.attenuation)
            and _recurs(trace, ledger) is in_time and ledger.attenuation < math.inf
        ]  # fmt: skip
        usable.sort(key=lambda ledger: ledger.step)
        if usable:
            steps, values = [x.step for x in usable], [x.attenuation for x in usable]
            found.append(Depth(optimizer, tuple(usable), usable[typical(steps, values, failing=failing)]))
    return tuple(found)


def _recurs(trace: Trace, ledger: Ledger) -> bool:
    """Return whether a path runs through time steps: it reuses a weight, or a recurrent cell's own operations."""
    lengths = {profile.module: len(profile.norms) for profile in trace.time_profiles}
    return ledger.steps_in_time > 1 or any(
        entry.module in lengths and entry.uses >= max(3, lengths[entry.module] // 2) for entry in ledger.entries
    )


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
    wanted = set(modules)
    held = {info.name: info for info in trace.parameters if info.optimizer >= 0}
    named = [name for site in sites(trace, wanted) for name in site.parameters]
    named += [info.name for info in held.values() if info.module in wanted]
    return tuple(dict.fromkeys(name for name in named if name in held))


def source_lines(trace: Trace, modules: Iterable[str]) -> tuple[SourceLine, ...]:
    """Return where the user's code builds or calls the named modules, each line once."""
    found: dict[SourceLine, None] = {}
    placed = {site.name: site for site in (*trace.activations, *trace.layers)}
    infos = {info.name: info for info in trace.modules}
    for module in modules:
        site, info = placed.get(module), infos.get(module)
        line = (info.defined if info else None) or (site.source if site else None) or (info.called if info else None)
        if line is not None:
            found[line] = None
    return tuple(found)


def shown(modules: Iterable[str], most: int = 3) -> str:
    """Return a few module names, ``a, b, … z``: the same in every language."""
    names = tuple(modules)
    return ", ".join(names) if len(names) <= most + 1 else ", ".join((*names[:most], "…", names[-1]))
