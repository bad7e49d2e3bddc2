"""The report as one offline HTML file: Plotly inlined, nothing requested, every string of the run escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from evengrad.core.finding import Verdict
from evengrad.reports.charts import Chart, charts
from evengrad.reports.pages import rule_page
from evengrad.reports.text import HTML_LANGUAGE, texts
from evengrad.reports.values import Document

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_CODE: Final = re.compile(r"`([^`]*)`")
# Characters that could end a script element, or a line where JavaScript before 2019 allows none.
_UNSAFE: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render_html(document: Document) -> str:
    """Return a document as a complete HTML page."""
    words = texts(document.lang)
    values = {
        "document": document,
        "say": words.say,
        "sick": document.verdict is Verdict.SICK,
        "page": rule_page,
    }
    return render_page("report.html.j2", document.lang, charts(document, words), values)


def render_page(template: str, lang: str, drawn: Sequence[Chart], values: Mapping[str, object]) -> str:
    """Return a page with charts.

    Scripts are allowed by their hash alone, so that a string of the run that slipped through every escape would still
    not run; the page may load nothing from anywhere.

    Args:
        template: Its file name.
        lang: Language of the page.
        drawn: Its charts; without any the page runs no script.
        values: What else the template speaks of.
    """
    script, plotly = _resource("report.js"), _plotly() if drawn else ""
    figures = [{"id": chart.id, "traces": chart.traces, "layout": chart.layout} for chart in drawn]
    return _environment().get_template(template).render(
        values,
        charts=drawn,
        figures=_script_json(figures),
        language=HTML_LANGUAGE[lang],
        style=_markup(_resource("report.css")),
        script=_markup(script),
        plotly=_markup(plotly),
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in (script, plotly) if text and drawn),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("evengrad.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["prose"] = prose
    return made


def prose(text: str) -> Markup:
    """Return a text as HTML: escaped, and what stands in backticks as code."""
    from markupsafe import Markup, escape

    parts: list[str] = []
    position = 0
    for match in _CODE.finditer(text):
        parts += [str(escape(text[position : match.start()])), f"<code>{escape(match[1])}</code>"]
        position = match.end()
    return Markup("".join([*parts, str(escape(text[position:]))]))


def _script_json(values: object) -> Markup:
    """Return values as JSON that is safe inside a script element of data."""
    return _markup(json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_UNSAFE))


def _markup(text: str) -> Markup:
    """Return a text of our own, or escaped already, that the template takes as it is."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _plotly() -> str:
    """Return Plotly's own script."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _resource(name: str) -> str:
    return (files("evengrad.reports") / "templates" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Return the hash by which the page's policy knows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
