"""The report on a fix as one offline HTML page."""

from __future__ import annotations

from evengrad.reports.fix.charts import arm_chart
from evengrad.reports.fix.document import BOOK, FixDocument
from evengrad.reports.fix.terminal import clean_line
from evengrad.reports.html import render_page
from evengrad.reports.text import texts


def render_fix_html(document: FixDocument) -> str:
    """Return a document as a complete HTML page."""
    words = texts(document.lang, BOOK)
    chart = arm_chart(document.fix, words)
    lines = [(_kind(line), clean_line(line)) for line in document.diff.splitlines()]
    values = {"document": document, "say": words.say, "diff": lines, "ending": document.fix.ending.value}
    return render_page("fix.html.j2", document.lang, [] if chart is None else [chart], values)


def _kind(line: str) -> str:
    """Return the class of a line of a diff."""
    if line.startswith(("+++", "---")):
        return "faint"
    return {"+": "added", "-": "removed", "@": "faint"}.get(line[:1], "")
