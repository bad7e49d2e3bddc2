"""The charts of the picture: gradient and variance by layer, the variance map, the correlation map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from evengrad.reports.charts._chart import Chart, evenly, rounded
from evengrad.reports.json_report import Json
from evengrad.reports.text import Texts, decades
from evengrad.reports.theory.wording import LARGEST, SMALLEST, precise, title_of
from evengrad.reports.values import Table
from evengrad.theory.correlation import correlation_map
from evengrad.theory.mean_field import variance_map
from evengrad.theory.overview import InitialisationRow, MeanFieldPicture

_POINTS: Final = 400  # of a line by layer
_ROWS: Final = 12  # of a chart's table
_MAP_POINTS: Final = 61
_REACH: Final = 3.0  # decades of variance shown on either side of 1

Point = Callable[[InitialisationRow, int], float]


def theory_charts(picture: MeanFieldPicture, words: Texts) -> tuple[Chart, ...]:
    """Return the charts, the most telling first."""
    return (
        _by_layer("gradient", lambda row, layer: row.propagation.decades[layer], picture, words),
        _by_layer("variance", _log_variance, picture, words),
        _by_layer("correlation", lambda row, layer: row.correlations[layer], picture, words),
        _variance_map(picture, words),
        _correlation_map(picture, words),
    )


def _by_layer(key: str, value: Point, picture: MeanFieldPicture, words: Texts) -> Chart:
    """Return a quantity by layer, a line for each initialisation."""
    layers = evenly(picture.depth, _POINTS)
    drawn: list[Json] = [
        _line([layer + 1 for layer in layers], [value(row, layer) for layer in layers], title_of(row.name, words))
        for row in picture.comparison
    ]
    axis: dict[str, Json] = {"title": {"text": words.say(f"chart.{key}.axis")}}
    if key == "correlation":
        axis["range"] = [-0.02, 1.02]
    layout: dict[str, Json] = {"xaxis": {"title": {"text": words.say("html.axis.layer")}}, "yaxis": axis}
    rows = tuple(
        (f"{layer + 1:,}", *(_cell(value(row, layer)) for row in picture.comparison))
        for layer in evenly(picture.depth, _ROWS)
    )
    columns = (words.say("html.axis.layer"), *(title_of(row.name, words) for row in picture.comparison))
    return _chart(key, drawn, layout, (columns, rows), words)


def _log_variance(row: InitialisationRow, layer: int) -> float:
    """Return log10 of a layer's variance; nan where theory does not follow it any further."""
    log = math.log10(row.propagation.q[layer])
    return log if SMALLEST < log < LARGEST else math.nan


def _cell(value: float) -> str:
    return "" if math.isnan(value) else decades(value, 2)


def _variance_map(picture: MeanFieldPicture, words: Texts) -> Chart:
    """Return the variance of the next layer over that of this one; a fixed point is where a line meets the diagonal."""
    qs = [10.0**exponent for exponent in np.linspace(-_REACH, _REACH, _MAP_POINTS)]
    rows = _pictured(picture)
    maps = [[variance_map(picture.activation, q, row.initialisation) for q in qs] for row in rows]
    drawn = [_line(qs, values, title_of(row.name, words)) for row, values in zip(rows, maps, strict=True)]
    inside = [point.q for point in picture.fixed_points if qs[0] <= point.q <= qs[-1]]
    if inside:
        drawn.append(
            {**_line(inside, inside, words.say("chart.fixed-points")), "mode": "markers", "marker": {"size": 9}}
        )
    drawn.append(_diagonal([qs[0], qs[-1]], words))
    layout: dict[str, Json] = {
        "xaxis": {"title": {"text": words.say("chart.map.this")}, "type": "log"},
        "yaxis": {"title": {"text": words.say("chart.map.next")}, "type": "log"},
    }
    return _chart("variance-map", drawn, layout, _map_table(qs, maps, rows, words), words)


def _correlation_map(picture: MeanFieldPicture, words: Texts) -> Chart:
    """Return the correlation of two inputs after a layer over that before it, at each one's own variance."""
    cs = [float(c) for c in np.linspace(0.0, 1.0, _MAP_POINTS)]
    rows = _pictured(picture)
    # In the long run where there is one; else at the variance of the last layer looked at.
    settled = [row.q_star if 0 < row.q_star < math.inf else row.propagation.q[-1] for row in rows]
    maps = [
        [correlation_map(picture.activation, c, q, row.initialisation) for c in cs]
        for row, q in zip(rows, settled, strict=True)
    ]
    drawn = [_line(cs, values, title_of(row.name, words)) for row, values in zip(rows, maps, strict=True)]
    drawn.append(_diagonal([0.0, 1.0], words))
    layout: dict[str, Json] = {
        "xaxis": {"title": {"text": words.say("chart.map.before")}},
        "yaxis": {"title": {"text": words.say("chart.map.after")}},
    }
    return _chart("correlation-map", drawn, layout, _map_table(cs, maps, rows, words), words)


def _pictured(picture: MeanFieldPicture) -> list[InitialisationRow]:
    """Return the rows with distinct maps: those of PyTorch's default, and of the pictured initialisation."""
    # Not the centred one: its map is that of another function.
    chosen = [row for row in picture.comparison if row.name in ("pytorch-default", picture.chosen, "critical")]
    return list({row.initialisation: row for row in chosen}.values())


def _map_table(
    at: Sequence[float], maps: Sequence[Sequence[float]], rows: Sequence[InitialisationRow], words: Texts
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    shown = evenly(len(at), _ROWS)
    cells = tuple((precise(at[index]), *(precise(values[index]) for values in maps)) for index in shown)
    return (words.say("chart.map.input"), *(title_of(row.name, words) for row in rows)), cells


def _line(x: Sequence[float], y: Sequence[float], name: str) -> dict[str, Json]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": [rounded(value) for value in y],
        "hovertemplate": "%{x:.4g}: %{y:.4g}",
    }


def _diagonal(ends: Sequence[float], words: Texts) -> dict[str, Json]:
    return {**_line(ends, ends, words.say("chart.diagonal")), "line": {"dash": "dot", "width": 1}, "hoverinfo": "skip"}


def _chart(
    key: str,
    drawn: Sequence[Json],
    layout: dict[str, Json],
    table: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]],
    words: Texts,
) -> Chart:
    """Return a chart; ``table`` has the columns and the rows that say the same."""
    title = words.say(f"chart.{key}")
    return Chart(f"chart-{key}", title, words.say(f"chart.{key}.help"), drawn, layout, Table(title, *table))
