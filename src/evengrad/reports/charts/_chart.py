"""What every chart is, and the little things that all of them need."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evengrad.core.trace import Series
from evengrad.reports.json_report import Json
from evengrad.reports.text import Texts, clean, shorten
from evengrad.reports.values import Table

TABLE_ROWS: Final = 24  # of a chart's table
_LABEL: Final = 36  # characters of a name on an axis


@dataclass(frozen=True)
class Chart:
    """One chart: ``traces`` and ``layout`` are Plotly's; colours are left to the page, which knows light from dark."""

    id: str
    title: str
    help: str
    traces: Sequence[Json]
    layout: dict[str, Json]
    table: Table
    height: int = 360


def label(text: str, words: Texts) -> str:
    """Return a name for an axis: shortened, and with nothing left that Plotly would read as one of its tags."""
    return html.escape(shorten(clean(text), _LABEL) or words.say("word.model"), quote=False)


def full_label(text: str, words: Texts) -> str:
    """Return a name for a category or a hover text: whole, since Plotly merges equal categories."""
    return html.escape(clean(text) or words.say("word.model"), quote=False)


def category_axis(categories: Sequence[str], names: Sequence[str], limit: int) -> dict[str, Json]:
    """Return an axis of categories, at most ``limit`` of them named; names of digits are not taken for numbers."""
    named = evenly(len(categories), limit)
    return {
        "type": "category",
        "tickmode": "array",
        "tickvals": [categories[index] for index in named],
        "ticktext": [html.escape(shorten(clean(names[index]), _LABEL), quote=False) for index in named],
        "automargin": True,
    }


def place_axis(labels: Sequence[str], limit: int) -> dict[str, Json]:
    """Return an axis of places 0, 1, 2, … that may share a label, at most ``limit`` of them labelled."""
    shown = evenly(len(labels), limit)
    return {
        "tickmode": "array",
        "tickvals": shown,
        "ticktext": [labels[index] for index in shown],
        "tickangle": -45,
        "automargin": True,
    }


def evenly(count: int, limit: int) -> list[int]:
    """Return at most ``limit`` of the indices 0 … ``count`` - 1, evenly chosen, the ends included."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, limit))})


def value_at(series: Series, step: int) -> float:
    """Return the value at a step; nan when it was not measured."""
    return series.between(step, step).first()


def rounded(value: float) -> float | None:
    """Return a number of six digits for the page, None (a gap) where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def thinned_note(shown: int, total: int, words: Texts) -> str:
    """Return a note that rows were left out; "" when none were."""
    return words.say("html.chart.thinned", shown=f"{shown:,}", total=f"{total:,}") if shown < total else ""
