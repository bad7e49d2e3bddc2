"""Bars of the gradient by layer, or by time step, on a log axis; long nets are thinned."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from evengrad.core.finding import CauseKind, Diagnosis
from evengrad.core.ledger import TimeProfile
from evengrad.core.statistic import Scope, Statistic
from evengrad.core.trace import Series, Trace
from evengrad.reports.ledger_table import guilty_ledger
from evengrad.reports.text import Texts, clean, scientific
from evengrad.reports.values import Bar, Bars
from evengrad.reports.weights import weights

_NARROWEST: Final = 3  # decades that the axis spans at least, so that even gradients look even
_SIZES: Final = (  # what the gradient of a layer is measured by, best first, with the title of the chart
    (Statistic.GRAD_OUTPUT_NORM, "bars.layers"),
    (Statistic.GRAD_OUTPUT_RMS, "bars.layers.rms"),
    (Statistic.GRAD_RMS, "bars.parameters"),
)


def thin(values: Sequence[float], limit: int, keep: Collection[int] = ()) -> list[int]:
    """Return the indices of at most ``limit`` values, ascending.

    The first, the last, the largest and the smallest stay, then those asked for, then an even choice of the others.

    Args:
        values: The values, finite or not.
        limit: Most indices to return, at least 2.
        keep: Further indices to keep while there is room, the most important first.
    """
    if len(values) <= limit:
        return list(range(len(values)))
    finite = [index for index, value in enumerate(values) if math.isfinite(value)]
    chosen = dict.fromkeys([0, len(values) - 1])
    if finite:
        chosen |= dict.fromkeys([min(finite, key=lambda i: values[i]), max(finite, key=lambda i: values[i])])
    chosen |= dict.fromkeys(index for index in keep if 0 <= index < len(values))
    picked = list(chosen)[:limit]
    room = limit - len(picked)
    # Halving the widest gap again and again spreads the rest evenly between what is already there.
    while room > 0:
        picked.sort()
        left, right = max(pairwise(picked), key=lambda gap: gap[1] - gap[0])
        if right - left < 2:
            break
        picked.append((left + right) // 2)
        room -= 1
    return sorted(picked)


def gradient_bars(diagnosis: Diagnosis, texts: Texts, limit: int = 16) -> Bars | None:
    """Return the bars that show the worst finding best, or None where no gradient was measured."""
    in_time = _time_profile(diagnosis)
    if in_time is not None:
        return _time_bars(in_time, texts, limit)
    trace = diagnosis.trace
    for statistic, title in _SIZES:
        names = _subjects(trace, statistic)
        series = [trace.get(statistic, name) for name in names]
        if not any(len(one) for one in series):
            continue
        step = _step(series, _wanted_step(diagnosis))
        points = {name: at for name, one in zip(names, series, strict=True) if (at := _at(one, step)) is not None}
        worst = diagnosis.findings[:1]
        guilty = {name for finding in worst for name in (*finding.modules, *finding.parameters)}
        rows = [(name, value, name in guilty) for name, value in points.items()]
        return Bars(texts.say(title, step=f"{step:,}"), *_rows(rows, limit, texts))
    return None


def _subjects(trace: Trace, statistic: Statistic) -> list[str]:
    """Return the layers in forward order; for a statistic of parameters, their weights."""
    if statistic.scope is Scope.MODULE:
        return [site.name for site in trace.layers]
    return list(weights(trace).values()) or [info.name for info in trace.parameters if len(info.shape) > 1]


def _wanted_step(diagnosis: Diagnosis) -> int | None:
    """Return the step to show: that of the ledger beside the bars, else the first step of the worst finding."""
    worst = diagnosis.findings[0] if diagnosis.findings else None
    ledger = guilty_ledger(diagnosis)
    if worst is not None and ledger is not None and worst.first_step <= ledger.step <= worst.last_step:
        return ledger.step
    return worst.first_step if worst else None


def _step(series: Sequence[Series], wanted: int | None) -> int:
    """Return the measured step to show: at, or first after, the wanted one; the last one where none is wanted.

    Where everything is NaN by then, the last step before that shows where the gradient stood.
    """
    measured = sorted({int(step) for one in series for step in one.steps})
    steps = sorted({int(step) for one in series for step in one.finite.steps}) or measured
    if wanted is None:
        return steps[-1]
    return next((step for step in steps if step >= wanted), steps[-1])


def _at(series: Series, step: int) -> float | None:
    """Return the value at a step, or None."""
    found = series.between(step, step)
    return found.first() if len(found) else None


def _time_profile(diagnosis: Diagnosis) -> TimeProfile | None:
    """Return the profile to show when the worst finding is one of time: the steepest of the first step."""
    profiles = [profile for profile in diagnosis.trace.time_profiles if len(profile.norms) > 1]
    worst = diagnosis.findings[0] if diagnosis.findings else None
    if worst is None or worst.cause is None or worst.cause.kind is not CauseKind.RECURRENT_JACOBIAN or not profiles:
        return None
    named = [profile for profile in profiles if profile.module in worst.modules] or profiles
    first = min(named, key=lambda profile: (profile.step < worst.first_step, profile.step)).step
    return max((profile for profile in named if profile.step == first), key=_steepness)


def _steepness(profile: TimeProfile) -> float:
    sizes = [norm for norm in profile.norms if math.isfinite(norm) and norm > 0]
    return math.log10(max(sizes) / min(sizes)) if sizes else 0.0


def _time_bars(profile: TimeProfile, texts: Texts, limit: int) -> Bars:
    rows = [(texts.say("bars.time-step", index=str(i)), norm, False) for i, norm in enumerate(profile.norms)]
    module = clean(profile.module) or texts.say("word.model")
    return Bars(texts.say("bars.time", module=module, step=f"{profile.step:,}"), *_rows(rows, limit, texts))


def _rows(points: Sequence[tuple[str, float, bool]], limit: int, texts: Texts) -> tuple[str, tuple[Bar, ...]]:
    """Return the axis in words, and the bars of ``(label, value, guilty)``, thinned to ``limit``."""
    logs = [math.log10(value) if math.isfinite(value) and value > 0 else math.nan for _, value, _ in points]
    low, high = _axis([log for log in logs if math.isfinite(log)])
    bars = tuple(
        Bar(
            clean(label) or texts.say("word.model"),
            scientific(value),
            (log - low) / (high - low) if math.isfinite(log) else None,
            guilty,
        )
        for (label, value, guilty), log in zip(points, logs, strict=True)
    )
    return texts.say("bars.axis", low=f"1e{low}", high=f"1e{high}"), thin_bars(bars, limit)


def thin_bars(bars: Sequence[Bar], limit: int) -> tuple[Bar, ...]:
    """Return at most ``limit`` bars; each knows how many were left out before it."""
    values = [math.nan if bar.fraction is None else bar.fraction for bar in bars]
    strange = [index for index, bar in enumerate(bars) if bar.fraction is None]
    kept: list[Bar] = []
    omitted = 0
    chosen = set(thin(values, limit, keep=[*strange[:1], *(index for index, bar in enumerate(bars) if bar.guilty)]))
    for index, bar in enumerate(bars):
        omitted += bar.omitted_before
        if index in chosen:
            kept.append(replace(bar, omitted_before=omitted))
            omitted = 0
        else:
            omitted += 1
    return tuple(kept)


def _axis(logs: Sequence[float]) -> tuple[int, int]:
    """Return the exponents that the axis runs between; the smallest value still gets a little bar."""
    if not logs:
        return -1, 0
    high = math.ceil(max(logs) + 1e-9)
    low = math.floor(min(logs) - 0.1)
    return min(low, high - _NARROWEST), high
