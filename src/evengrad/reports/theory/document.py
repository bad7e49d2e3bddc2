"""Build the document of a mean-field picture."""

from __future__ import annotations

import math
from typing import Final

from evengrad.reports.charts._chart import evenly
from evengrad.reports.text import Texts, decades, number, texts
from evengrad.reports.theory.facts import facts
from evengrad.reports.theory.sentences import advice, default_sentence, headline, notes
from evengrad.reports.theory.values import Cell, Plot, PlotColumn, TheoryDocument
from evengrad.reports.theory.wording import BOOK, depth_text, precise, size_text, spaced, spoken_name, title_of
from evengrad.reports.values import Table
from evengrad.theory.overview import InitialisationRow, MeanFieldPicture

_ROWS: Final = 10  # of the plot
_NARROWEST: Final = 3.0  # decades that an axis of the plot spans at least, so that what is even looks even


def build_theory_document(picture: MeanFieldPicture, lang: str = "en") -> TheoryDocument:
    """Return a picture as a document.

    Args:
        picture: What theory says of one activation.
        lang: ``"en"`` or ``"zh-TW"``.

    Raises:
        UsageError: There are no texts in that language.
    """
    words = texts(lang, BOOK)
    return TheoryDocument(
        lang=lang,
        name=spoken_name(picture.activation),
        headline=spaced(headline(picture, words)),
        default=spaced(default_sentence(picture, words)),
        advice=spaced(advice(picture, words)),
        notes=tuple(spaced(note) for note in notes(picture, words)),
        comparison=_comparison(picture, words),
        facts=facts(picture, words),
        plot=_plot(picture, words),
        picture=picture,
    )


def _comparison(picture: MeanFieldPicture, words: Texts) -> Table:
    columns = ("initialisation", "weight", "bias", "q", "chi", "phase", "gradient", "reach", "outlook")
    return Table(
        words.say("compare.title", depth=f"{picture.depth:,}"),
        tuple(words.say(f"compare.{column}") for column in columns),
        tuple(_compared(row, picture, words) for row in picture.comparison),
        words.say("compare.note"),
    )


def _compared(row: InitialisationRow, picture: MeanFieldPicture, words: Texts) -> tuple[str, ...]:
    return (
        title_of(row.name, words),
        precise(row.initialisation.weight_variance),
        precise(row.initialisation.bias_variance),
        number(row.q_star),
        number(row.gradient_factor),
        words.say(f"phase.{row.phase.value}"),
        decades(row.attenuation),
        depth_text(row.trainable.depth, picture.depth, words),
        words.say(f"outlook.{row.outlook.value}"),
    )


def _plot(picture: MeanFieldPicture, words: Texts) -> Plot:
    pair = _contrasted(picture)
    layers = evenly(picture.depth, _ROWS)
    columns: list[PlotColumn] = []
    for quantity in ("gradient", "variance"):
        logs = [_logs(row, quantity, layers) for row in pair]
        low, high = _axis([value for one in logs for value in one])
        columns += [
            PlotColumn(
                words.say(f"plot.{quantity}"),
                title_of(row.name, words),
                tuple(
                    Cell(
                        size_text(value) if quantity == "variance" else decades(value),
                        (value - low) / (high - low) if math.isfinite(value) else None,
                    )
                    for value in values
                ),
            )
            for row, values in zip(pair, logs, strict=True)
        ]
    return Plot(words.say("plot.title"), tuple(f"{layer + 1:,}" for layer in layers), tuple(columns))


def _contrasted(picture: MeanFieldPicture) -> tuple[InitialisationRow, InitialisationRow]:
    """Return what the user has, and what theory would choose instead (the least uneven, if nothing is critical)."""
    first, *others = picture.comparison
    last = others[-1]
    return first, last if last.name in ("critical", "centred") else min(others, key=lambda row: abs(row.attenuation))


def _logs(row: InitialisationRow, quantity: str, layers: list[int]) -> list[float]:
    if quantity == "gradient":
        return [row.propagation.decades[layer] for layer in layers]
    return [math.log10(row.propagation.q[layer]) for layer in layers]


def _axis(logs: list[float]) -> tuple[float, float]:
    """Return the ends of an axis in decades; even the smallest value keeps a little bar."""
    finite = [value for value in logs if math.isfinite(value)] or [0.0]
    high = max(finite)
    low = min(*finite, high - _NARROWEST)
    return low - 0.05 * (high - low), high
