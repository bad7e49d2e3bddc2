"""Heat maps of a quantity by layer and step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Floats, Series, Trace
from evengrad.reports.bars import thin
from evengrad.reports.charts._chart import (
    TABLE_ROWS,
    Chart,
    category_axis,
    evenly,
    full_label,
    rounded,
    thinned_note,
    value_at,
)
from evengrad.reports.json_report import Json
from evengrad.reports.ledger_table import site
from evengrad.reports.text import Texts, number
from evengrad.reports.values import Table
from evengrad.reports.weights import weights

_ROWS: Final = 120  # layers drawn
_COLUMNS: Final = 120  # steps drawn
_NAMED: Final = 30  # layers whose name fits beside the map
_TABLE_COLUMNS: Final = 6
_NARROWEST: Final = 3.0  # decades that the colours span at least, so that even gradients look even


def gradient_map(trace: Trace, words: Texts) -> Chart | None:
    """Return the gradient by layer and step; None where it was not measured."""
    for statistic in (Statistic.GRAD_OUTPUT_NORM, Statistic.GRAD_OUTPUT_RMS):
        chart = _heat_map(trace, statistic, [layer.name for layer in trace.layers], "gradient", words)
        if chart is not None:
            return chart
    return None


def update_map(trace: Trace, words: Texts) -> Chart | None:
    """Return the update ratio by weight and step; None where it was not measured."""
    return _heat_map(trace, Statistic.UPDATE_RATIO, list(weights(trace).values()), "update", words)


def _heat_map(trace: Trace, statistic: Statistic, subjects: Sequence[str], key: str, words: Texts) -> Chart | None:
    """Return log10 of a statistic by subject and step; input side at the top."""
    measured = {name: trace.get(statistic, name) for name in subjects}
    measured = {name: series for name, series in measured.items() if len(series)}
    if not measured:
        return None
    names, series = list(measured), list(measured.values())
    steps = sorted({int(step) for one in series for step in one.steps})
    rows = thin([_last_log(one) for one in series], _ROWS)
    layout, heat = _drawn([names[row] for row in rows], [series[row] for row in rows], steps, words)
    return Chart(
        f"chart-{key}",
        words.say(f"html.chart.{key}"),
        words.say(f"html.chart.{key}.help"),
        [heat],
        layout,
        _table(names, series, steps, key, words),
        height=min(760, 200 + 16 * len(rows)),
    )


def _drawn(
    names: Sequence[str], series: Sequence[Series], steps: Sequence[int], words: Texts
) -> tuple[dict[str, Json], Json]:
    """Return Plotly's layout and trace."""
    columns = [steps[index] for index in evenly(len(steps), _COLUMNS)]
    logs = [_logs(one, columns).tolist() for one in series]
    finite = [value for row in logs for value in row if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    x, y = [f"{step:,}" for step in columns], [full_label(name, words) for name in names]
    heat: Json = {
        "type": "heatmap",
        "x": x,
        "y": y,
        "z": [[rounded(round(value, 2)) for value in row] for row in logs],
        "zmin": high - max(_NARROWEST, high - low),
        "zmax": high,
        "hoverongaps": False,
        "colorbar": {"title": {"text": "log10", "side": "right"}, "thickness": 12},
        "hovertemplate": "%{y}<br>%{x}: 10^%{z:.2f}<extra></extra>",
    }
    layout: dict[str, Json] = {
        "xaxis": {**category_axis(x, x, 14), "title": {"text": words.say("html.axis.step")}},
        "yaxis": {**category_axis(y, names, _NAMED), "autorange": "reversed"},
    }
    return layout, heat


def _table(names: Sequence[str], series: Sequence[Series], steps: Sequence[int], key: str, words: Texts) -> Table:
    """Return the map's values at a few steps and layers."""
    chosen = [steps[index] for index in evenly(len(steps), _TABLE_COLUMNS)]
    rows = thin([_last_log(one) for one in series], TABLE_ROWS)
    cells = tuple((site(names[row], words), *(_cell(series[row], step) for step in chosen)) for row in rows)
    columns = (words.say("html.axis.layer"), *(f"{words.say('html.axis.step')} {step:,}" for step in chosen))
    return Table(words.say(f"html.chart.{key}"), columns, cells, thinned_note(len(rows), len(names), words))


def _cell(series: Series, step: int) -> str:
    """Return the value at a step; "" where it was not measured."""
    return number(value_at(series, step)) if len(series.between(step, step)) else ""


def _logs(series: Series, steps: Sequence[int]) -> Floats:
    """Return log10 at the given steps; nan where it was not measured, zero or not finite."""
    found = dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    values = [found.get(step, math.nan) for step in steps]
    return np.asarray([math.log10(v) if math.isfinite(v) and v > 0 else math.nan for v in values])


def _last_log(series: Series) -> float:
    """Return log10 of the last value that has one: what thinning ranks rows by."""
    logs = _logs(series, series.steps.tolist())
    finite = logs[np.isfinite(logs)]
    return float(finite[-1]) if len(finite) else math.nan
