"""``evengrad check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evengrad.cli.commands._base import Command
from evengrad.cli.options import Language, writable_file
from evengrad.errors import UsageError

if TYPE_CHECKING:
    from evengrad.checks.feeding import Feed
    from evengrad.checks.result import CheckResult

_STDOUT = Path("-")


def check(
    build: Annotated[
        str, typer.Argument(metavar="BUILD", help="What builds the model: package.module:name or path/to/file.py:name.")
    ],
    *,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="SHAPE|REF", help="Shape of a made-up input, 32,3,28,28; or a batch or loader."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="classes:N|SHAPE|REF", help="The target; guessed from the output if left out.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="NAME|REF", help="cross_entropy, mse, l1, huber, bce, bce_logits, nll; or REF."),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(metavar="NAME:LR", help="What training will use: sgd:0.1, adam:1e-3, adamw:3e-4, ….")
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="How many draws of the weights to look at.")] = "3",
    json: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the JSON report here; - prints it alone.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write the HTML report here.")] = None,
    lang: Annotated[
        Language, typer.Option(metavar="en|zh-TW", help="Language of the report.", case_sensitive=False)
    ] = Language.EN,
) -> int:
    """Say whether a network can train, before its first step, and which initialisation would let it.

    BUILD is a function (or module class) without arguments that returns a model, or (model, batch, loss_fn). REF is
    package.module:name or path/to/file.py:name. One forward and one backward pass per seed; nothing is trained. Exit
    code: 0 healthy, 1 findings, 2 wrong usage, 3 the check failed.
    """
    json = json if json == _STDOUT else writable_file("--json", json)
    html = writable_file("--html", html)
    result = _examine(build, input_, target, loss, optimizer=optimizer, seeds=_count(seeds))
    return _report(result, json, html, lang.value)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise UsageError(f"--seeds is {text}: expected a number of seeds, at least 1")
    return int(text)


def _examine(
    build: str, input_: str | None, target: str | None, loss: str | None, *, optimizer: str | None, seeds: int
) -> CheckResult:
    """Carry out the check that the command line describes."""
    from evengrad.checks.check import examine
    from evengrad.checks.loading import load
    from evengrad.checks.optimizers import choice_of
    from evengrad.checks.seeds import Order
    from evengrad.checks.synthetic import parse_shape

    choice = choice_of(optimizer)
    given = load(build, "BUILD")
    shape = parse_shape(input_) if input_ is not None else None
    if not callable(given):
        raise UsageError(f"BUILD: {build!r} is a {type(given).__name__}: expected a function, class or model")
    order = Order(given, _feed(input_ if shape is None else None, target, loss), choice, seeds, shape)
    return examine(order, name=build)


def _feed(batches: str | None, target: str | None, loss: str | None) -> Feed:
    """Return what the model is to be fed with."""
    from evengrad.checks.feeding import Feed, known_loss
    from evengrad.checks.loading import is_reference, load
    from evengrad.checks.subject import first_of

    batch = None if batches is None else first_of(load(batches, "--input"), "--input")
    aim: object = target
    if target is not None and is_reference(target):
        aim = first_of(load(target, "--target"), "--target")
    if loss is None or not is_reference(loss):
        return Feed(batch=batch, target=aim, loss=loss and known_loss(loss))
    chosen = load(loss, "--loss")
    if not callable(chosen):
        raise UsageError(f"--loss is {loss!r}, a {type(chosen).__name__}: expected a function")
    return Feed(batch=batch, target=aim, loss=chosen)


def _report(result: CheckResult, json: Path | None, html: Path | None, lang: str) -> int:
    """Print and write the report; return the exit code."""
    from rich.console import Console

    from evengrad.reports.check_document import build_check_document
    from evengrad.reports.check_json import render_check_json
    from evengrad.reports.glyphs import can_show
    from evengrad.reports.html import render_html
    from evengrad.reports.terminal import render_terminal

    if html is not None:
        html.write_text(render_html(build_check_document(result, lang)), encoding="utf-8")
    if json == _STDOUT:
        print(render_check_json(result), end="")
        return int(not result.healthy)
    if json is not None:
        json.write_text(render_check_json(result), encoding="utf-8")
    console = Console()
    shown = lang if can_show(lang, console.encoding) else "en"
    render_terminal(build_check_document(result, shown, html_path=str(html) if html else ""), console)
    return int(not result.healthy)


COMMAND = Command(check)
