"""Bars: the waterfall of a ledger, and the shares of saturated and dead units."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from evengrad.core.ledger import Ledger, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace
from evengrad.reports.bars import thin
from evengrad.reports.charts._chart import TABLE_ROWS, Chart, label, place_axis, rounded, thinned_note
from evengrad.reports.json_report import Json
from evengrad.reports.ledger_table import site, spoken
from evengrad.reports.text import Texts, decades
from evengrad.reports.values import Table

_BARS: Final = 60  # drawn
_VISIBLE: Final = 0.005  # share that has a height on the chart; below it everywhere, there is nothing to see
_NAMED: Final = 24  # named on the axis
_SHARES: Final = ((Statistic.SATURATED, "html.saturated"), (Statistic.DEAD, "html.dead"))


def waterfall(ledger: Ledger, words: Texts) -> Chart:
    """Return a ledger as a waterfall, from the last layer back to the first."""
    steps = _falls(ledger, words)
    names = [html.escape(name, quote=False) for name, _ in steps] + [words.say("html.total")]
    drawn: Json = {
        "type": "waterfall",
        "x": list(range(len(names))),
        "y": [*(rounded(value) for _, value in steps), 0],
        "measure": [*("relative" for _ in steps), "total"],
        "customdata": names,
        "hovertemplate": "%{customdata}<br>%{y:+.2f}<extra></extra>",
    }
    layout: dict[str, Json] = {
        "xaxis": place_axis([*(label(name, words) for name, _ in steps), names[-1]], _NAMED),
        "yaxis": {"title": {"text": words.say("html.axis.decades")}},
        "showlegend": False,
    }
    rows = (*((name, decades(value, 2)) for name, value in steps), (names[-1], decades(ledger.attenuation, 2)))
    columns = (words.say("table.operation"), words.say("html.axis.decades"))
    title, about = words.say("html.chart.ledger"), words.say("html.chart.ledger.help")
    return Chart("chart-ledger", title, about, [drawn], layout, Table(title, columns, rows), height=460)


def _falls(ledger: Ledger, words: Texts) -> list[tuple[str, float]]:
    """Return the bars in path order; of a long path each bar is a stretch, named for the entry that did most in it."""
    stretches = np.array_split(np.arange(len(ledger.entries)), min(_BARS, len(ledger.entries)))
    return [_stretch([ledger.entries[index] for index in stretch], words) for stretch in stretches]


def _stretch(entries: Sequence[LedgerEntry], words: Texts) -> tuple[str, float]:
    worst = max(entries, key=lambda entry: abs(entry.decades) if math.isfinite(entry.decades) else math.inf)
    name = f"{site(worst.module, words)} · {spoken(worst.operation)}"
    return name + (f" +{len(entries) - 1}" if len(entries) > 1 else ""), math.fsum(entry.decades for entry in entries)


def unit_chart(trace: Trace, words: Texts) -> Chart | None:
    """Return the shares of saturated and dead units by activation, each at its worst step; None if there are none."""
    sites = [one.name for one in trace.activations]
    names = [name for name in sites if any(len(trace.get(statistic, name)) for statistic, _ in _SHARES)]
    shares = {statistic: [_worst(trace.get(statistic, name)) for name in names] for statistic, _ in _SHARES}
    if not any(share >= _VISIBLE for each in shares.values() for share in each):
        return None
    highest = [
        max((s for s in pair if not math.isnan(s)), default=math.nan) for pair in zip(*shares.values(), strict=True)
    ]
    rows = thin(highest, _BARS)
    labels = [label(names[row], words) for row in rows]
    drawn: list[Json] = [
        {
            "type": "bar",
            "name": words.say(key),
            "x": list(range(len(rows))),
            "y": [rounded(shares[statistic][row]) for row in rows],
            "customdata": labels,
            "hovertemplate": "%{customdata}: %{y:.1%}",
        }
        for statistic, key in _SHARES
    ]
    layout: dict[str, Json] = {
        "barmode": "group",
        "xaxis": place_axis(labels, _NAMED),
        "yaxis": {"title": {"text": words.say("html.axis.share")}, "tickformat": ".0%", "range": [0, 1]},
    }
    told = thin(highest, TABLE_ROWS)
    cells = tuple(
        (site(names[row], words), *(_share(shares[statistic][row]) for statistic, _ in _SHARES)) for row in told
    )
    columns = tuple(words.say(key) for key in ("html.axis.layer", "html.saturated", "html.dead"))
    table = Table(words.say("html.chart.units"), columns, cells, thinned_note(len(told), len(names), words))
    return Chart("chart-units", table.title, words.say("html.chart.units.help"), drawn, layout, table)


def _worst(series: Series) -> float:
    finite = series.finite.values
    return float(finite.max()) if len(finite) else math.nan


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f} %"
