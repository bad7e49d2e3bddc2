"""The mean-field picture of an activation as text, HTML and JSON."""

from __future__ import annotations

from evengrad.reports.theory.document import build_theory_document
from evengrad.reports.theory.json_form import render_theory_json
from evengrad.reports.theory.page import render_theory_html
from evengrad.reports.theory.terminal import render_theory_terminal
from evengrad.reports.theory.values import TheoryDocument

__all__ = [
    "TheoryDocument",
    "build_theory_document",
    "render_theory_html",
    "render_theory_json",
    "render_theory_terminal",
]
