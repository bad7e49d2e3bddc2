"""The end of a watched run: diagnosis, report, files. Each stage that fails says so, and the others go on."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from evengrad.cli.options import Language, Level, Options
from evengrad.cli.terminal import describe, say, stderr
from evengrad.cli.words import word

if TYPE_CHECKING:
    from evengrad.core.finding import Diagnosis
    from evengrad.core.trace import Trace
    from evengrad.recording.folder import RunFolder
    from evengrad.reports.values import Document

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Importing torch runs a few small tools; training takes longer. Own choice.
_CHILD_SECONDS: Final = 1.0


def conclude(trace: Trace, folder: RunFolder | None, options: Options, end: BaseException | None) -> bool:
    """Diagnose a run that is over and report on it.

    Args:
        trace: What was measured.
        folder: Where the reports go, or None.
        options: What the user asked for.
        end: What ended the program, or None.

    Returns:
        Whether the findings reach ``--fail-on``.
    """
    diagnosis = attempt("diagnosis", lambda: _diagnose(trace))
    if diagnosis is None:
        return False
    html = "" if folder is None else _shown(folder.path / "report.html", options.started_in)
    document = attempt("report", lambda: _build(diagnosis, options.language, html))
    if not options.quiet:
        if document is not None:
            attempt("report in the terminal", lambda: print_document(document))
        if trace.steps == 0:
            say(word(options.language, "unknown", reason=_reason(options.language, end)))
    _write(diagnosis, document, folder, options)
    return options.fail_on is not None and reaches(diagnosis, options.fail_on)


def attempt(what: str, act: Callable[[], T]) -> T | None:
    """Return what ``act`` returns; if it fails, say what failed, and return None."""
    try:
        return act()
    except Exception as error:
        logger.debug("%s failed", what, exc_info=True)
        say(f"{what} failed: {describe(error)}")
        return None


def print_document(document: Document) -> None:
    """Draw a report on stderr."""
    from rich.console import Console

    from evengrad.reports.terminal import render_terminal

    stream = stderr()
    if stream is not None:
        render_terminal(document, Console(file=stream))


def reaches(diagnosis: Diagnosis, level: Level) -> bool:
    """Return whether the worst finding is at least as severe as ``level``."""
    from evengrad.core.finding import Severity

    return diagnosis.worst is not None and diagnosis.worst.rank >= Severity(level.value).rank


def _write(diagnosis: Diagnosis, document: Document | None, folder: RunFolder | None, options: Options) -> None:
    """Write the reports into the run folder, and where else they are wanted."""
    json_text = attempt("JSON report", lambda: _json(diagnosis))
    html_text = None if document is None else attempt("HTML report", lambda: _html(document))
    texts = {"report.json": json_text, "report.html": html_text}
    if folder is not None:
        attempt("writing reports", lambda: [folder.write_text(n, t) for n, t in texts.items() if t is not None])
    for path, text in ((options.json, json_text), (options.html, html_text)):
        if path is not None and text is not None:
            attempt("writing a report", partial(path.write_text, text, encoding="utf-8"))


# Imported inside the stage that needs it: what one stage lacks is no loss to the others.


def _diagnose(trace: Trace) -> Diagnosis:
    from evengrad.diagnosis.diagnose import diagnose

    return diagnose(trace)


def _build(diagnosis: Diagnosis, language: Language, html_path: str) -> Document:
    from evengrad.reports.document import build_document

    return build_document(diagnosis, language.value, html_path=html_path)


def _json(diagnosis: Diagnosis) -> str:
    from evengrad.reports.json_report import render_json

    return render_json(diagnosis)


def _html(document: Document) -> str:
    from evengrad.reports.html import render_html

    return render_html(document)


def _shown(path: Path, folder: Path) -> str:
    """Return a path as a person types it in the folder where the run was started."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _reason(language: Language, end: BaseException | None) -> str:
    """Return the likeliest reason for which no step was seen."""
    if end is not None and not isinstance(end, SystemExit):
        return word(language, "script-failed", error=type(end).__name__)
    times = os.times()
    children = times.children_user + times.children_system
    if children >= _CHILD_SECONDS:
        return word(language, "children", seconds=f"{children:.0f}")
    return word(language, "no-step" if "torch" in sys.modules else "no-torch")
