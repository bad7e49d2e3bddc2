"""Signal and gradient by depth, number formats, attention and time, brought together over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evengrad.checks.gradients import GradientReading
from evengrad.checks.probe import Probe
from evengrad.checks.result import Attention, HeadRoom, Outset, Row, Spread, Time, Transformer, log10
from evengrad.core.info import SiteInfo
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._time import profile_decades
from evengrad.theory.number_formats import loss_scale, number_format

_FORMATS = ("float16", "bfloat16")


def typical(probes: Sequence[Probe]) -> Probe:
    """Return the probe whose attenuation is the median (of an even number, the lower middle)."""
    known = sorted((p for p in probes if not math.isnan(p.attenuation)), key=lambda probe: probe.attenuation)
    return known[(len(known) - 1) // 2] if known else probes[0]


def path_sites(ledger: Ledger) -> tuple[str, ...]:
    """Return the weight layers of a path, nearest the data first."""
    layers = [entry.module for entry in reversed(ledger.entries) if entry.kind is EntryKind.WEIGHT]
    return tuple(dict.fromkeys((ledger.first, *layers)))


def followers(trace: Trace) -> dict[str, SiteInfo]:
    """Return the activation that follows each layer on the path of the ledger, by the layer's module."""
    found: dict[str, SiteInfo] = {}
    by_module = {(site.module, site.operation): site for site in trace.activations}
    for ledger in trace.ledgers:
        waiting: SiteInfo | None = None
        for entry in ledger.entries:
            if entry.kind is EntryKind.ACTIVATION:
                waiting = by_module.get((entry.module, entry.operation))
            elif entry.kind is EntryKind.WEIGHT:
                if waiting is not None:
                    found.setdefault(entry.module, waiting)
                waiting = None
        if waiting is not None:
            found.setdefault(ledger.first, waiting)
    return found


def rows(probes: Sequence[Probe], predicted: dict[str, float]) -> tuple[Row, ...]:
    """Return a row per layer, nearest the data first."""
    trace = typical(probes).trace
    follows = followers(trace)
    reference = _reference(trace)
    made = []
    for site in trace.layers:
        activation = follows.get(site.module) or follows.get(site.name)
        act = activation.name if activation is not None else ""
        made.append(
            Row(
                layer=site.name,
                depth=int(_first(trace, Statistic.DEPTH, site.name) or 0),
                signal_rms=_over(probes, Statistic.INPUT_RMS, site.name),
                signal=Spread.of([_relative(p.trace, Statistic.INPUT_RMS, site.name, reference[0]) for p in probes]),
                gradient=Spread.of(
                    [_relative(p.trace, Statistic.GRAD_OUTPUT_NORM, site.name, reference[1]) for p in probes]
                ),
                predicted=predicted.get(site.name, math.nan),
                apart=_over(probes, Statistic.DISTINGUISHABILITY, site.name).median,
                activation=activation.operation if activation is not None else "",
                saturated=_over(probes, Statistic.SATURATED, act).median if act else math.nan,
                dead=_over(probes, Statistic.DEAD, act).median if act else math.nan,
            )
        )
    return tuple(made)


def _reference(trace: Trace) -> tuple[str, str]:
    """Return the first hidden layer, whose input is the signal's unit, and the last layer, the gradient's."""
    names = [site.name for site in trace.layers]
    ledger = trace.ledgers[0] if trace.ledgers else None
    last = ledger.last if ledger is not None else (names[-1] if names else "")
    hidden = path_sites(ledger)[1:2] if ledger is not None else ()
    known = hidden[0] if hidden and hidden[0] in names else (names[min(1, len(names) - 1)] if names else "")
    return known, last


def _first(trace: Trace, statistic: Statistic, subject: str) -> float:
    return trace.get(statistic, subject).first()


def _over(probes: Sequence[Probe], statistic: Statistic, subject: str) -> Spread:
    return Spread.of([_first(probe.trace, statistic, subject) for probe in probes])


def _relative(trace: Trace, statistic: Statistic, subject: str, reference: str) -> float:
    value, unit = _first(trace, statistic, subject), _first(trace, statistic, reference)
    return log10(value / unit) if unit > 0 and math.isfinite(unit) else math.nan


def outset(probes: Sequence[Probe]) -> Outset:
    """Return the first loss beside that of a guess."""
    classes = _over(probes, Statistic.CLASSES, "").median
    comparable = classes > 1 and not any(probe.summed for probe in probes)
    guess = math.log(classes) if comparable else math.nan
    return Outset(Spread.of([p.loss for p in probes]), guess, _over(probes, Statistic.OUTPUT_RMS, "").median)


def head_room(probes: Sequence[Probe]) -> tuple[HeadRoom, ...]:
    """Return what float16 and bfloat16 would make of the gradients and signals of the typical seed."""
    probe = typical(probes)
    matrices = {info.name for info in probe.trace.parameters if len(info.shape) >= 2}
    readings = {n: r for n, r in probe.gradients.items() if n in matrices and r.norm > 0 and math.isfinite(r.norm)}
    if not readings:
        return ()
    signal = max(
        (_first(probe.trace, Statistic.INPUT_MAX, s.name) for s in probe.trace.layers), default=math.nan, key=_or_zero
    )
    return tuple(_room(name, readings, signal) for name in _FORMATS)


def _room(dtype: str, readings: dict[str, GradientReading], signal: float) -> HeadRoom:
    form = number_format(dtype)
    # Only float16 runs out: bfloat16 has float32's exponents.
    shares = {name: reading.underflow if dtype == "float16" else 0.0 for name, reading in readings.items()}
    worst = max(shares, key=lambda name: shares[name])
    total = sum(reading.numel for reading in readings.values())
    overall = sum(shares[name] * reading.numel for name, reading in readings.items()) / total
    largest = max(reading.largest for reading in readings.values())
    return HeadRoom(
        dtype=dtype,
        underflow=shares[worst],
        worst=worst,
        overall=overall,
        scale=loss_scale(form, largest),
        largest_signal=signal,
        overflows=signal > form.largest or largest > form.largest,
    )


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def attention(probes: Sequence[Probe]) -> tuple[Attention, ...]:
    """Return the attention operations of the typical seed."""
    return typical(probes).attention


def transformer(probes: Sequence[Probe]) -> Transformer | None:
    """Return what depth does to the tokens of a net with attention; None of one without."""
    if not any(probe.attention for probe in probes):
        return None
    cosines = [probe.cosines[-1][1] for probe in probes if probe.cosines]
    where = next((probe.cosines[-1][0] for probe in probes if probe.cosines), "")
    ratios = [ratio for probe in probes if not math.isnan(ratio := _query_key(probe))]
    return Transformer(Spread.of(cosines).median, Spread.of(ratios).median, where)


def _query_key(probe: Probe) -> float:
    """Return the smallest ratio, over attention blocks, of the gradient of queries and keys to that of values."""
    queries: dict[str, list[float]] = {}
    values: dict[str, float] = {}
    for name, reading in probe.gradients.items():
        block = name if reading.query_key and reading.value else name.rpartition(".")[0].rpartition(".")[0]
        if reading.query_key:
            queries.setdefault(block, []).append(reading.query_key)
        if reading.value:
            values[block] = max(values.get(block, 0.0), reading.value)
    shared = [block for block in queries if values.get(block, 0.0) > 0]
    return min((max(queries[block]) / values[block] for block in shared), default=math.nan)


def times(probes: Sequence[Probe]) -> tuple[Time, ...]:
    """Return the gradient through time of each recurrent layer."""
    profiles: dict[str, list[tuple[int, float]]] = {}
    for probe in probes:
        for profile in probe.trace.time_profiles:
            value = profile_decades(profile.norms)
            if not math.isnan(value):
                profiles.setdefault(profile.module, []).append((len(profile.norms), value))
    return tuple(
        Time(module, max(length for length, _ in seen), Spread.of([value for _, value in seen]))
        for module, seen in profiles.items()
    )
