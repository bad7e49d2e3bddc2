"""The charts of the HTML report, as Plotly figures in plain values; each has a table that says the same."""

from __future__ import annotations

from evengrad.reports.charts._chart import Chart
from evengrad.reports.charts.columns import unit_chart, waterfall
from evengrad.reports.charts.lines import loss_chart, time_chart
from evengrad.reports.charts.maps import gradient_map, update_map
from evengrad.reports.ledger_table import guilty_ledger
from evengrad.reports.text import Texts
from evengrad.reports.values import Document

__all__ = ["Chart", "charts"]


def charts(document: Document, words: Texts) -> tuple[Chart, ...]:
    """Return the charts that have something to show, the most telling first."""
    trace = document.diagnosis.trace
    ledger = guilty_ledger(document.diagnosis)
    made = (
        gradient_map(trace, words),
        waterfall(ledger, words) if ledger and ledger.entries else None,
        time_chart(trace, words),
        loss_chart(trace, words),
        update_map(trace, words),
        unit_chart(trace, words),
    )
    return tuple(chart for chart in made if chart is not None)
