"""``evengrad fix``."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evengrad.cli.commands._base import Command
from evengrad.cli.fix_progress import FixProgress
from evengrad.cli.options import Language, count, writable_file
from evengrad.cli.program import Module, Script
from evengrad.cli.terminal import say
from evengrad.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evengrad.core.finding import Diagnosis
    from evengrad.core.plan import Plan
    from evengrad.core.trial import Fix
    from evengrad.trials.fix import Order
    from evengrad.trials.job import Target

_JOBS = 2  # side by side unless told otherwise: more than that many cores are not everybody's


def fix(
    *,
    program: Annotated[
        str | None, typer.Argument(metavar="SCRIPT.PY", help="The training script; with -m, the name of a module.")
    ] = None,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="What the script takes.")] = None,
    module: Annotated[bool, typer.Option("-m", help="Run a module instead: -m PACKAGE.MODULE ARGS.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the change into your files, if it is proven; the old ones are kept.")
    ] = False,
    steps: Annotated[
        str | None, typer.Option(metavar="N", help="No run goes beyond N optimizer steps; it decides if not given.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Begin nothing new after M minutes; the next call goes on.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help=f"Runs side by side; {_JOBS} at most if not given.")
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Fresh seeds that a proof begins with.")] = 3,
    control: Annotated[
        int, typer.Option(metavar="N", help="Try N remedies drawn at random as well, for comparison.")
    ] = 0,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Let trial runs write where the script writes, instead of to a copy.")
    ] = False,
    json: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the JSON report here as well.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML report here as well.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Keep the results under DIR/.evengrad, not ./.evengrad."),
    ] = None,
    lang: Annotated[
        Language, typer.Option(metavar="en|zh-TW", help="Language of the report.", case_sensitive=False)
    ] = Language.EN,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no report; the files are written.")] = False,
) -> int:
    """Find the smallest change that repairs a training script, prove it on fresh seeds, and show it as a diff.

    The script is run again and again with one thing changed, from its own seeds and on fresh ones, beside runs with
    nothing changed. Your files stay as they are unless you say --apply, and a call that was cut short goes on where it
    stopped. Exit code: 0 a proven change or nothing to fix, 1 faults without a proven change, 2 wrong usage, 3 failure.
    """
    reports = _Reports(writable_file("--json", json), writable_file("--html", html), lang, quiet)
    _check(minutes, jobs, seeds, control)
    target = _target(program, tuple(arguments or ()), module=module)

    from evengrad.trials.fix import Order
    from evengrad.trials.settings import Settings

    order = Order(
        target,
        (output or Path()).absolute(),
        ("-m", "evengrad.cli.arm"),
        Settings(steps=None if steps is None else count(steps), seeds=seeds, controls=control),
        minutes=minutes,
        jobs=jobs or min(_JOBS, os.cpu_count() or 1),
        isolate=not in_place,
        apply=apply,
    )
    return _fix(order, reports)


def _target(program: str | None, arguments: tuple[str, ...], *, module: bool) -> Target:
    """Return the program to be fixed; says what is wrong with its name before anything is started."""
    if program is None:
        wanted = "-m package.module" if module else "script.py"
        raise UsageError(f"nothing to fix: expected evengrad fix [options] {wanted} [arguments]")

    from evengrad.trials.job import Target

    find = Module.find if module else Script.load
    find(program, ())
    return Target(program, module, arguments, os.getcwd())


@dataclass(frozen=True)
class _Reports:
    """Where the report goes, and how."""

    json: Path | None
    html: Path | None
    language: Language
    quiet: bool


def _check(minutes: float | None, jobs: int | None, seeds: int, control: int) -> None:
    """Refuse numbers that make no sense."""
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--minutes is {minutes}: expected a number above 0")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}: expected at least 1")
    if seeds < 2:
        raise UsageError(f"--seeds is {seeds}: expected at least 2, since one pair of runs proves nothing")
    if control < 0:
        raise UsageError(f"--control is {control}: expected a number of random remedies, 0 or more")


def _fix(order: Order, reports: _Reports) -> int:
    """Carry an order out and report."""
    from evengrad.core.trial import Ending
    from evengrad.remedies.prescribe import prescribe
    from evengrad.trials.fix import Helpers
    from evengrad.trials.fix import fix as search

    try:
        with FixProgress(order.target.name, reports.language, quiet=reports.quiet) as progress:
            helpers = Helpers(prescribe, _draw, progress.run, progress.stage)
            result, folder = search(order, helpers)
    except KeyboardInterrupt:
        from evengrad.reports.fix.document import BOOK
        from evengrad.reports.text import texts

        say(texts(reports.language.value, BOOK).say("interrupted"))
        raise SystemExit(130) from None
    _report(result, folder, order, reports)
    if result.ending is Ending.UNKNOWN:
        return 3
    return 0 if result.ending in (Ending.HEALTHY, Ending.PROVEN) else 1


def _draw(diagnosis: Diagnosis, number: int) -> Sequence[Plan]:
    """Draw plans at random, always the same for the same program: a call that goes on must find what it has tried."""
    from evengrad.remedies._random import random_plans

    return random_plans(diagnosis.trace, number, seed=0)


def _report(result: Fix, folder: Path, order: Order, reports: _Reports) -> None:
    """Write the reports into the folder of the fix and where they are wanted, and print one."""
    from rich.console import Console

    from evengrad.recording.files import write_whole
    from evengrad.reports.fix.document import build_fix_document
    from evengrad.reports.fix.json_form import render_fix_json
    from evengrad.reports.fix.page import render_fix_html
    from evengrad.reports.fix.terminal import render_fix_terminal

    page = folder / "report.html"
    applied = str(folder / "orig") if order.apply and result.verified else ""
    document = build_fix_document(result, reports.language.value, applied_to=applied, html_path=_shown(page))
    texts = {"json": render_fix_json(result), "html": render_fix_html(document)}
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in texts.items():
        write_whole(folder / f"report.{kind}", text.encode("utf-8", errors="backslashreplace"))
    for path, kind in ((reports.json, "json"), (reports.html, "html")):
        if path is not None:
            path.write_text(texts[kind], encoding="utf-8", errors="backslashreplace")
    if not reports.quiet:
        render_fix_terminal(document, Console(file=sys.stdout))


def _shown(path: Path) -> str:
    """Return a path as a person types it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


COMMAND = Command(fix, owns_options=False)
