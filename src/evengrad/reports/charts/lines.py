"""Lines: loss and gradient norm over the run, and the gradient by time step of recurrent layers."""

from __future__ import annotations

import html
from typing import Final

import numpy as np

from evengrad.core.event import EventKind
from evengrad.core.ledger import TimeProfile
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Floats, Series, Trace
from evengrad.reports.bars import thin
from evengrad.reports.charts._chart import TABLE_ROWS, Chart, evenly, label, rounded, thinned_note, value_at
from evengrad.reports.json_report import Json
from evengrad.reports.ledger_table import site
from evengrad.reports.text import Texts, number
from evengrad.reports.values import Table

_POINTS: Final = 1_500  # of a line: more than a screen has columns
_SAMPLES: Final = 150  # points that can be told apart
_MARKS: Final = 40  # events shown in the loss chart
_PROFILES: Final = 8  # recurrent layers shown

# Events that mark a moment; the others concern the whole run.
_MOMENTS: Final = (
    EventKind.NON_FINITE,
    EventKind.NON_FINITE_LOSS,
    EventKind.NON_FINITE_GRADIENT,
    EventKind.NON_FINITE_WEIGHT,
    EventKind.EARLY_WARNING,
    EventKind.STEP_SKIPPED,
    EventKind.SCRIPT_ERROR,
    EventKind.INTERRUPTED,
)


def loss_chart(trace: Trace, words: Texts) -> Chart | None:
    """Return loss and gradient norm over the steps, with the moments that matter; None where neither was measured."""
    loss, norm = trace.get(Statistic.LOSS), trace.get(Statistic.GRAD_NORM)
    lines = ((loss, "html.axis.loss", "y"), (norm, "html.axis.norm", "y2"))
    drawn = [_line(series, words.say(key), axis) for series, key, axis in lines if len(series)]
    if not drawn:
        return None
    both = len(loss) > 0 and len(norm) > 0
    above, below = ([0.54, 1.0], [0.0, 0.46]) if both else ([0.0, 1.0], [0.0, 1.0])
    layout: dict[str, Json] = {
        "xaxis": {"title": {"text": words.say("html.axis.step")}, "anchor": "y2" if len(norm) else "y"},
        "yaxis": {"title": {"text": words.say("html.axis.loss")}, "type": _scale(loss), "domain": above},
        "yaxis2": {
            "title": {"text": words.say("html.axis.norm")},
            "type": _scale(norm),
            "domain": below,
            "rangemode": "tozero",
        },
        "showlegend": False,
        **_marks(trace, words),
    }
    title, about = words.say("html.chart.loss"), words.say("html.chart.loss.help")
    return Chart("chart-loss", title, about, drawn, layout, _loss_table(loss, norm, title, words), height=480)


def _loss_table(loss: Series, norm: Series, title: str, words: Texts) -> Table:
    steps = sorted({int(step) for series in (loss, norm) for step in series.steps})
    chosen = [steps[index] for index in evenly(len(steps), TABLE_ROWS)]
    rows = tuple((f"{step:,}", *(_cell(series, step) for series in (loss, norm))) for step in chosen)
    columns = tuple(words.say(f"html.axis.{name}") for name in ("step", "loss", "norm"))
    return Table(title, columns, rows, thinned_note(len(chosen), len(steps), words))


def _cell(series: Series, step: int) -> str:
    """Return the value at a step; "" where it was not measured."""
    return number(value_at(series, step)) if len(series.between(step, step)) else ""


def _line(series: Series, name: str, axis: str) -> Json:
    steps, values = _decimated(series)
    return {
        "type": "scatter",
        # A quantity that was sampled shows its samples.
        "mode": "lines" if len(steps) > _SAMPLES else "lines+markers",
        "name": name,
        "x": steps,
        "y": [rounded(value) for value in values],
        "yaxis": axis,
        "hovertemplate": "%{x}: %{y:.4g}<extra></extra>",
    }


def _decimated(series: Series) -> tuple[list[int], list[float]]:
    """Return at most ``_POINTS`` points that keep every peak: extremes of even stretches, and what is not finite."""
    values: Floats = series.values
    if len(values) <= _POINTS:
        return series.steps.tolist(), values.tolist()
    kept = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), _POINTS // 3):
        part = values[stretch]
        finite = np.isfinite(part)
        if finite.any():
            kept |= {int(stretch[np.where(finite, part, np.inf).argmin()])}
            kept |= {int(stretch[np.where(finite, part, -np.inf).argmax()])}
        if not finite.all():
            kept.add(int(stretch[(~finite).argmax()]))
    order = sorted(kept)
    return series.steps[order].tolist(), values[order].tolist()


def _scale(series: Series) -> str:
    """Return the axis type: logarithmic for a positive quantity that spans more than a decade and a half."""
    finite = series.finite.values
    return "log" if len(finite) and finite.min() > 0 and finite.max() / finite.min() > 30 else "linear"


def _marks(trace: Trace, words: Texts) -> dict[str, Json]:
    """Return the events as vertical lines through both plots, each named once."""
    events = trace.events_of(*_MOMENTS)[:_MARKS]
    shapes: list[Json] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": event.step, "x1": event.step, "y0": 0, "y1": 1}
        for event in events
    ]
    firsts = {event.kind: event for event in reversed(events)}
    notes: list[Json] = [
        {
            "x": event.step,
            "y": 1 - 0.06 * index,
            "xref": "x",
            "yref": "paper",
            "text": html.escape(words.say(f"event.{event.kind.value}"), quote=False),
            "showarrow": False,
            "xanchor": "left",
        }
        for index, event in enumerate(firsts.values())
    ]
    return {"shapes": shapes, "annotations": notes}


def time_chart(trace: Trace, words: Texts) -> Chart | None:
    """Return the latest profile in time of each recurrent layer; None where there is none."""
    latest = {profile.module: profile for profile in trace.time_profiles if len(profile.norms) > 1}
    profiles = list(latest.values())[:_PROFILES]
    if not profiles:
        return None
    layout: dict[str, Json] = {
        "xaxis": {"title": {"text": words.say("html.axis.time")}},
        "yaxis": {"title": {"text": words.say("html.axis.norm")}, "type": "log"},
    }
    length = max(len(profile.norms) for profile in profiles)
    told = evenly(length, TABLE_ROWS)
    cells = tuple((str(i), *(number(p.norms[i]) if i < len(p.norms) else "" for p in profiles)) for i in told)
    columns = (words.say("html.axis.time"), *(site(profile.module, words) for profile in profiles))
    table = Table(words.say("html.chart.time"), columns, cells, thinned_note(len(told), length, words))
    drawn = [_profile(profile, words) for profile in profiles]
    return Chart("chart-time", table.title, words.say("html.chart.time.help"), drawn, layout, table)


def _profile(profile: TimeProfile, words: Texts) -> Json:
    kept = thin(profile.norms, _POINTS)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{label(profile.module, words)} ({words.say('html.axis.step')} {profile.step:,})",
        "x": kept,
        # A logarithmic axis has no zero: a gap.
        "y": [rounded(profile.norms[index]) or None for index in kept],
        "hovertemplate": "%{x}: %{y:.2e}",
    }
