"""The curves of the arms: a line for each, with a band over its seeds."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from evengrad.core.trial import ArmResult, Fix
from evengrad.reports.charts._chart import Chart, evenly, label, rounded
from evengrad.reports.json_report import Json
from evengrad.reports.text import Texts, number
from evengrad.reports.values import Table

_POINTS: Final = 400
_ROWS: Final = 12
_ARMS: Final = 8  # lines that can be told apart
_FORGETTING: Final = 0.05  # share of the steps that a point is the median of
_COLOURS: Final = (  # as on the page; bands need their own, paler
    "31,119,180",
    "214,39,40",
    "148,103,189",
    "44,160,44",
    "255,127,14",
    "140,86,75",
    "23,190,207",
    "127,127,127",
)


def arm_chart(fix: Fix, words: Texts) -> Chart | None:
    """Return the loss of each arm by step; None when nothing was run."""
    ranked = sorted(fix.arms, key=lambda arm: (arm is not fix.winner, -len(arm.curves)))
    controls = [arm for arm in fix.arms if arm.outcome is None][:2]
    shown = [*controls, *(arm for arm in ranked if arm not in controls)][:_ARMS]
    drawn = [arm for arm in shown if any(curve.steps for curve in arm.curves)]
    if not drawn:
        return None
    bands = [_band(arm) for arm in drawn]
    traces: list[Json] = []
    for arm, band, colour in zip(drawn, bands, _COLOURS, strict=False):
        traces += _lines(_name(arm, words), band, colour, several=len(arm.curves) > 1)
    layout: dict[str, Json] = {
        "xaxis": {"title": {"text": words.say("html.axis.step")}},
        "yaxis": {"title": {"text": words.say("html.axis.loss")}, "type": _scale(bands)},
    }
    title = words.say("chart.title")
    steps = evenly(max(len(band[1]) for band in bands), _ROWS)
    rows = tuple((f"{step:,}", *(_cell(band[1], step) for band in bands)) for step in steps)
    columns = (words.say("html.axis.step"), *(_name(arm, words) for arm in drawn))
    table = Table(words.say("chart.points"), columns, rows)
    return Chart("chart-arms", title, words.say("chart.help"), traces, layout, table, height=460)


Band = tuple[list[float], list[float], list[float]]


def _band(arm: ArmResult) -> Band:
    """Return lowest, mean and highest smoothed loss over the seeds at each step that all of them reached."""
    steps = min(curve.steps for curve in arm.curves if curve.steps)
    smooth = np.array([_smoothed(curve.losses[:steps]) for curve in arm.curves if curve.steps])
    usable = np.where(np.isfinite(smooth), smooth, np.nan)
    missing = np.isnan(usable).any(axis=0)
    low, mean, high = (f(np.where(missing, 0.0, usable), axis=0) for f in (np.min, np.mean, np.max))
    return tuple(np.where(missing, np.nan, line).tolist() for line in (low, mean, high))


def _smoothed(losses: tuple[float, ...]) -> list[float]:
    """Return the running median: losses of single batches hide what the arms have in common."""
    width = max(1, int(_FORGETTING * len(losses)))
    return [float(np.median(losses[max(0, step - width + 1) : step + 1])) for step in range(len(losses))]


def _lines(name: str, band: Band, colour: str, *, several: bool) -> list[Json]:
    low, mean, high = band
    steps = evenly(len(mean), _POINTS)
    x: list[Json] = [*steps]
    line: Json = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": [rounded(mean[step]) for step in steps],
        "line": {"color": f"rgb({colour})", "width": 2},
        "hovertemplate": "%{x}: %{y:.4g}",
    }
    if not several:
        return [line]
    around: Json = {
        "type": "scatter",
        "mode": "lines",
        "x": [*steps, *reversed(steps)],
        "y": [*(rounded(high[step]) for step in steps), *(rounded(low[step]) for step in reversed(steps))],
        "fill": "toself",
        "fillcolor": f"rgba({colour},0.18)",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [around, line]


def _name(arm: ArmResult, words: Texts) -> str:
    key = f"arm.{arm.name}"
    return words.say(key) if arm.outcome is None else label(arm.name, words)


def _cell(values: list[float], step: int) -> str:
    return number(values[step]) if step < len(values) and not math.isnan(values[step]) else ""


def _scale(bands: list[Band]) -> str:
    """Return the axis type: logarithmic for positive losses that span more than a decade."""
    values = np.array([value for band in bands for line in band for value in line])
    finite = values[np.isfinite(values)]
    return "log" if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min() else "linear"
