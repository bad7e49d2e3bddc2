"""The picture as one offline HTML page."""

from __future__ import annotations

from evengrad.reports.html import render_page
from evengrad.reports.text import texts
from evengrad.reports.theory.charts import theory_charts
from evengrad.reports.theory.values import TheoryDocument
from evengrad.reports.theory.wording import BOOK


def render_theory_html(document: TheoryDocument) -> str:
    """Return a document as a complete HTML page."""
    words = texts(document.lang, BOOK)
    drawn = theory_charts(document.picture, words)
    return render_page("theory.html.j2", document.lang, drawn, {"document": document, "say": words.say})
