"""``evengrad run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evengrad.cli.commands._base import Command
from evengrad.cli.launch import Launch
from evengrad.cli.options import Language, Level, Options
from evengrad.cli.program import Module, Script
from evengrad.errors import UsageError


def run(
    *,
    program: Annotated[
        str | None, typer.Argument(metavar="SCRIPT.PY", help="The training script; with -m, the name of a module.")
    ] = None,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="What the script takes.")] = None,
    module: Annotated[bool, typer.Option("-m", help="Run a module instead: -m PACKAGE.MODULE ARGS.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the JSON report here as well.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML report here as well.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Keep the run folder under DIR/.evengrad, not ./.evengrad."),
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="SHARE", help="Share of run time that watching may cost: 0.01 is 1 %.")
    ] = "0.01",
    steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="Watch the first N optimizer steps only; the script runs on, unwatched."),
    ] = None,
    fail_on: Annotated[
        Level | None, typer.Option(help="Exit with 1 if the script succeeds, but a finding is this severe.")
    ] = None,
    lang: Annotated[
        Language, typer.Option(metavar="en|zh-TW", help="Language of the report.", case_sensitive=False)
    ] = Language.EN,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing; the files are written all the same.")
    ] = False,
) -> Launch:
    """Run a training script as python would, watch its gradients, and report at its end.

    The script's output, exit code and results are its own: options come before its name, everything after it is its
    business. The report goes to stderr and, as JSON and HTML, into .evengrad/<time>-<script>/.
    """
    options = Options.check(
        budget=budget, steps=steps, output=output, json=json, html=html, fail_on=fail_on, language=lang, quiet=quiet
    )
    if program is None:
        wanted = "-m package.module" if module else "script.py"
        raise UsageError(f"nothing to run: expected evengrad run [options] {wanted} [arguments]")
    find = Module.find if module else Script.load
    return Launch(find(program, tuple(arguments or ())), options)


COMMAND = Command(run, owns_options=False)
