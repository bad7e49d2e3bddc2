"""``evengrad.report``: print a report from Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from evengrad.core.finding import Diagnosis
from evengrad.reports.document import build_document


def report(diagnosis: Diagnosis, *, lang: str = "en", html: str | os.PathLike[str] | None = None) -> None:
    """Print a report to stderr, and write it as one offline HTML file if asked.

    Args:
        diagnosis: What ``evengrad.diagnose`` returned.
        lang: ``"en"`` or ``"zh-TW"``.
        html: Where to write the HTML report; None: nowhere.

    Raises:
        UsageError: there are no texts in that language.
    """
    from rich.console import Console

    from evengrad.reports.html import render_html
    from evengrad.reports.terminal import render_terminal

    document = build_document(diagnosis, lang, html_path="" if html is None else os.fspath(html))
    if html is not None:
        Path(html).write_text(render_html(document), encoding="utf-8")
    render_terminal(document, Console(file=sys.stderr))
