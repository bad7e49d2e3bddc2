"""What the remedies ask of a trace."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from evengrad.core.finding import Finding
from evengrad.core.info import OptimizerInfo, SiteInfo, SourceLine
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._neighbours import is_output
from evengrad.rules._weights import active_optimizers

# Names are autograd's, in lower case and without a version.
RECTIFIERS: Final = frozenset("relu threshold clampmin leakyrelu prelu prelukernel rreluwithnoise elu celu".split())
LEAKY: Final = frozenset("leakyrelu prelu prelukernel rreluwithnoise".split())
SHARP: Final = frozenset("relu threshold clampmin".split())  # a unit can pass exactly nothing
SATURATING: Final = frozenset("tanh hardtanh softsign erf".split())  # derivative 1 at the origin
SQUASHING: Final = frozenset("sigmoid hardsigmoid logsigmoid softplus".split())  # no weight scale makes them critical
SMOOTH: Final = frozenset("gelu silu mish hardswish".split())

_RECURRENT_KINDS: Final = ("RNN", "LSTM", "GRU")
_HALF: Final = frozenset({"float16", "bfloat16"})


def plain(operation: str) -> str:
    """Return autograd's name of an operation without case and version, ``LeakyRelu`` → ``leakyrelu``."""
    return operation.lower().rstrip("_0123456789")


def hidden_activations(trace: Trace, family: Iterable[str] = ()) -> tuple[SiteInfo, ...]:
    """Return the activation sites that can be changed: no gates of a recurrent layer, not the output's.

    Args:
        trace: The run.
        family: Only these operations; empty: all.
    """
    wanted = frozenset(family)
    return tuple(
        site
        for site in trace.activations
        if not _inside_recurrent(trace, site.module)
        and (not wanted or plain(site.operation) in wanted)
        and not is_output(trace, site)
    )


def main_activation(trace: Trace) -> str:
    """Return the activation used most, as autograd calls it without case and version; "" where there is none."""
    counts: dict[str, int] = {}
    for site in trace.activations:
        name = plain(site.operation)
        counts[name] = counts.get(name, 0) + site.uses
    return max(counts, key=lambda name: counts[name], default="")


def guilty_activation(finding: Finding | None, trace: Trace) -> str:
    """Return the activation that did most in the finding's direction, over all ledgers, as autograd calls it; or ""."""
    direction = 1.0 if finding is not None and finding.rule == "exploding-gradient" else -1.0
    sums: dict[str, float] = {}
    for ledger in trace.ledgers:
        for entry in ledger:
            if entry.kind is EntryKind.ACTIVATION and not math.isnan(entry.decades):
                sums[entry.operation] = sums.get(entry.operation, 0.0) + direction * entry.decades
    worst = max(sums, key=lambda name: sums[name], default="")
    if worst and sums[worst] > 0:
        return worst
    # Without a ledger: the activation of the site that the finding names.
    modules = finding.modules if finding is not None else ()
    named = [site.operation for site in trace.activations if site.name in modules or site.module in modules]
    return named[0] if named else ""


def recurrent_modules(trace: Trace) -> tuple[str, ...]:
    """Return the library's recurrent layers and cells, by name."""
    return tuple(info.name for info in trace.modules if info.kind.removesuffix("Cell") in _RECURRENT_KINDS)


def gated_modules(trace: Trace) -> tuple[str, ...]:
    """Return the recurrent layers with a gate that keeps the state: the LSTM's forget gate, the GRU's update gate."""
    return tuple(info.name for info in trace.modules if info.kind.removesuffix("Cell") in ("LSTM", "GRU"))


def plain_recurrent_modules(trace: Trace) -> tuple[str, ...]:
    """Return the recurrent layers without gates, whose state adds up what comes in."""
    return tuple(info.name for info in trace.modules if info.kind.removesuffix("Cell") == "RNN")


def reused_layers(trace: Trace) -> tuple[str, ...]:
    """Return the layers that a hand-written recurrence uses step after step, with a square weight: its state's own."""
    shapes = {info.name: info.shape for info in trace.parameters}
    profiled = {profile.module for profile in trace.time_profiles}
    weights = (entry for ledger in trace.ledgers for entry in ledger if entry.kind is EntryKind.WEIGHT)
    reused = profiled | {entry.module for entry in weights if entry.uses > 1}
    return tuple(
        site.name
        for site in trace.layers
        if (site.uses > 1 or site.name in reused)
        and any(len(shape) == 2 and shape[0] == shape[1] for name in site.parameters if (shape := shapes.get(name)))
        and not _inside_recurrent(trace, site.module)
    )


def _inside_recurrent(trace: Trace, module: str) -> bool:
    names = recurrent_modules(trace)
    return any(module == name or module.startswith(f"{name}.") for name in names)


def longest_sequence(trace: Trace) -> int:
    """Return the number of time steps of the longest sequence seen; 0 where there is no recurrence."""
    profiles = max((len(profile.norms) for profile in trace.time_profiles), default=0)
    uses = max((ledger.steps_in_time for ledger in trace.ledgers), default=0)
    return max(profiles, uses if uses > 1 else 0)


def depth(trace: Trace) -> int:
    """Return the number of weight layers on the longest path seen; the number of layers where no path is known."""
    return max((ledger.layers for ledger in trace.ledgers), default=len(trace.layers))


def has_skips(trace: Trace) -> bool:
    """Return whether branches meet along the way of the gradient: the network has shortcuts."""
    return any(ledger.branches or _merges(ledger) for ledger in trace.ledgers)


def _merges(ledger: Ledger) -> int:
    return sum(entry.uses for entry in ledger if entry.kind is EntryKind.MERGE)


def has_norms(trace: Trace) -> bool:
    """Return whether a normalisation layer lies in the network."""
    return any("norm" in info.kind.lower() for info in trace.modules)


def attends(trace: Trace) -> bool:
    """Return whether the network has attention."""
    words = ("attention", "transformer")
    return any(word in info.kind.lower() for info in trace.modules for word in words) or any(
        entry.kind is EntryKind.ATTENTION for ledger in trace.ledgers for entry in ledger
    )


def half_formats(trace: Trace) -> frozenset[str]:
    """Return the half-precision formats that weights are kept in, or gradients flow in."""
    sites = (site.dtype for site in (*trace.layers, *trace.activations))
    scaled = {"float16"} if len(trace.get(Statistic.LOSS_SCALE)) else set()
    return frozenset({*(info.dtype for info in trace.parameters), *sites, *scaled} & _HALF)


def optimizer(trace: Trace, finding: Finding | None = None) -> OptimizerInfo | None:
    """Return the optimizer that a finding concerns: that of its parameters, else the first at work."""
    owned = [trace.optimizer_of(name) for name in finding.parameters] if finding is not None else []
    return next((info for info in owned if info is not None), next(iter(active_optimizers(trace)), None))


def optimizer_lines(info: OptimizerInfo | None) -> tuple[SourceLine, ...]:
    """Return where an optimizer is made, if that is known."""
    return (info.source,) if info is not None and info.source is not None else ()


def group_number(info: OptimizerInfo | None, name: str) -> float:
    """Return a number of an optimizer's first group; nan where it has none of that name."""
    return info.groups[0].get(name, math.nan) if info is not None and info.groups else math.nan


def learning_rate(trace: Trace, finding: Finding | None = None) -> float:
    """Return the largest learning rate in use when a finding began (at the start, without one); nan when unknown."""
    names = finding.parameters if finding is not None else ()
    owners = {str(o.index) for name in names if (o := trace.optimizer_of(name)) is not None}
    step = finding.first_step if finding is not None else 0
    rates: list[float] = []
    for subject in trace.subjects(Statistic.LEARNING_RATE):
        known = trace.get(Statistic.LEARNING_RATE, subject).finite
        if len(known) and (not owners or subject.partition("/")[0] in owners):
            before = known.between(0, step)
            rates.append(before.last() if len(before) else known.first())
    return max(rates, default=math.nan)


def rounded(value: float, digits: int = 2) -> float:
    """Return a number with so few significant digits that a person would write it."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value


def power_of_ten(value: float) -> float:
    """Return the largest power of ten that is not above a positive number."""
    return float(f"1e{math.floor(math.log10(value))}") if value > 0 and math.isfinite(value) else math.nan


def key_of(finding: Finding | None) -> str:
    """Return the key of a finding's cause without the rule's name; "" where there is none."""
    return finding.cause.key.partition(".")[2] if finding is not None and finding.cause is not None else ""
