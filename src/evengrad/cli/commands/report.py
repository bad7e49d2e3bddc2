"""``evengrad report``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evengrad.cli.commands._base import Command
from evengrad.cli.options import Language, Level, writable_file

if TYPE_CHECKING:
    from evengrad.reports.values import Document


class Format(str, Enum):
    """What goes to stdout."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder: .evengrad/<time>-<script>.")],
    *,
    lang: Annotated[
        Language, typer.Option(metavar="en|zh-TW", help="Language of the report.", case_sensitive=False)
    ] = Language.EN,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TERMINAL,
    json: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the JSON report here as well.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML report here as well.")] = None,
) -> int:
    """Diagnose a recorded run again and print the report.

    Works on the run's folder alone, also on that of a run that was killed. Exit code: 0 healthy or unknown, 1 findings,
    2 wrong usage, 3 the folder cannot be read.
    """
    json, html = writable_file("--json", json), writable_file("--html", html)

    from evengrad.cli.conclusion import reaches
    from evengrad.diagnosis.diagnose import diagnose
    from evengrad.recording.folder import read_trace
    from evengrad.reports.document import build_document
    from evengrad.reports.html import render_html
    from evengrad.reports.json_report import render_json
    from evengrad.reports.markdown import render_markdown

    diagnosis = diagnose(read_trace(run))
    document = build_document(diagnosis, lang.value)
    if json is not None:
        json.write_text(render_json(diagnosis), encoding="utf-8")
    if html is not None:
        html.write_text(render_html(document), encoding="utf-8")
    if form is Format.TERMINAL:
        _draw(document)
    else:
        print(render_json(diagnosis) if form is Format.JSON else render_markdown(document), end="")
    return int(reaches(diagnosis, Level.WARNING))


def _draw(document: Document) -> None:
    """Draw the report on stdout."""
    from rich.console import Console

    from evengrad.reports.terminal import render_terminal

    render_terminal(document, Console())


COMMAND = Command(report)
