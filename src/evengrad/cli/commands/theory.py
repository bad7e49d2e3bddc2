"""``evengrad theory``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evengrad.cli.commands._base import Command
from evengrad.cli.options import Language, writable_file
from evengrad.errors import UsageError

if TYPE_CHECKING:
    from evengrad.theory.overview import MeanFieldPicture

_DEEPEST = 10_000  # layers; more would take minutes, and change nothing that matters


def theory(
    activation: Annotated[
        str,
        typer.Argument(
            metavar="ACTIVATION",
            help="Any of torch's (gelu, leaky_relu:0.2, 'nn.Softplus(beta=2)') or your own, as module:function.",
        ),
    ],
    *,
    depth: Annotated[int, typer.Option(metavar="L", help="Weight layers.")] = 50,
    weight_variance: Annotated[
        float | None,
        typer.Option(metavar="V", help="Variance of a weight times fan-in; the critical one if not given."),
    ] = None,
    bias_variance: Annotated[float | None, typer.Option(metavar="V", help="Variance of a bias.")] = None,
    width: Annotated[
        int | None,
        typer.Option(metavar="N", help="Units per layer, for the spread over seeds; none is infinitely many."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the picture as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page with charts here.")] = None,
    lang: Annotated[Language, typer.Option(metavar="en|zh-TW", help="Language.", case_sensitive=False)] = Language.EN,
) -> int:
    """Say whether a plain net of this activation and depth can train, and with which initialisation.

    Before any network is built: signal, gradient and likeness of inputs layer by layer, from mean-field theory, for
    PyTorch's default weights, Xavier's, He's and the critical ones. Exit code: 0, or 2 for wrong usage.
    """
    html = writable_file("--html", html)
    _check(depth, width)

    from evengrad.reports.theory import build_theory_document, render_theory_html, render_theory_json

    picture = _picture(
        activation, depth=depth, weight_variance=weight_variance, bias_variance=bias_variance, width=width or 0
    )
    if html is not None:
        html.write_text(render_theory_html(build_theory_document(picture, lang.value)), encoding="utf-8")
    if json:
        print(render_theory_json(picture), end="")
    else:
        _draw(picture, lang)
    return 0


def _check(depth: int, width: int | None) -> None:
    """Refuse nets that nobody has."""
    if not 1 <= depth <= _DEEPEST:
        raise UsageError(f"--depth is {depth}: expected a number of weight layers from 1 to {_DEEPEST:,}")
    if width is not None and width < 1:
        raise UsageError(f"--width is {width}: expected a number of units per layer, at least 1")


def _picture(
    activation: str, *, depth: int, weight_variance: float | None, bias_variance: float | None, width: int
) -> MeanFieldPicture:
    """Return the picture; modules of the current folder can be imported, as for ``python -m``."""
    from evengrad.theory.overview import picture

    sys.path.insert(0, os.getcwd())
    try:
        return picture(
            activation, depth=depth, weight_variance=weight_variance, bias_variance=bias_variance, width=width
        )
    except ValueError as error:  # a variance that cannot be, an activation without a second moment
        raise UsageError(str(error)) from error
    finally:
        sys.path.remove(os.getcwd())


def _draw(picture: MeanFieldPicture, lang: Language) -> None:
    """Draw the picture on stdout."""
    from rich.console import Console

    from evengrad.reports.theory import build_theory_document, render_theory_terminal

    render_theory_terminal(build_theory_document(picture, lang.value), Console())


COMMAND = Command(theory)
