"""The picture as data: what every renderer draws. Strings are in the reader's language, and not yet escaped."""

from __future__ import annotations

from dataclasses import dataclass

from evengrad.reports.values import Table
from evengrad.theory.overview import MeanFieldPicture


@dataclass(frozen=True)
class Cell:
    """A value of the plot: as text, and as a ``fraction`` of its axis, None where it is not on it."""

    text: str
    fraction: float | None


@dataclass(frozen=True)
class PlotColumn:
    """A quantity by layer under one initialisation; ``cells`` run with ``Plot.layers``."""

    quantity: str
    initialisation: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Plot:
    """Gradient and variance by layer, of two initialisations side by side; nearest to the input first."""

    title: str
    layers: tuple[str, ...]
    columns: tuple[PlotColumn, ...]


@dataclass(frozen=True)
class TheoryDocument:
    """The picture of an activation, ready to be drawn.

    Attributes:
        lang: Language.
        name: The activation as people call it.
        headline: One sentence: with which initialisation this depth is expected to train.
        default: One sentence: what becomes of the gradient if nothing is done.
        advice: What to do.
        notes: What else to know: why there is no critical initialisation, unstable variance, finite width.
        comparison: The usual initialisations side by side.
        facts: Every quantity of the pictured initialisation.
        plot: Gradient and variance by layer.
        picture: What the charts are drawn from.
    """

    lang: str
    name: str
    headline: str
    default: str
    advice: str
    notes: tuple[str, ...]
    comparison: Table
    facts: Table
    plot: Plot
    picture: MeanFieldPicture
