"""``evengrad explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from evengrad.cli.commands._base import Command


def explain(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its id; all are listed without it.")] = None,
) -> int:
    """Explain a rule (what it measures, why it hurts, when it misleads) or a remedy (what it changes, when not to)."""
    from rich.console import Console
    from rich.markdown import Markdown

    from evengrad.cli.pages import find_item, page

    console = Console()
    if name is None:
        console.print(_list())
    elif console.is_terminal:
        console.print(Markdown(page(find_item(name))))
    else:
        print(page(find_item(name)), end="")
    return 0


def _list() -> object:
    """Return all rules and all remedies with their summaries, ready to print."""
    from rich.table import Table

    from evengrad.cli.pages import summary
    from evengrad.diagnosis.diagnose import catalogue_rules
    from evengrad.remedies._catalogue import catalogue_remedies

    table = Table.grid(padding=(0, 2, 0, 0))
    for name, rule in catalogue_rules().items():
        table.add_row(name, summary(rule))
    table.add_row("", "")
    for name, remedy in catalogue_remedies().items():
        table.add_row(name, summary(remedy))
    return table


COMMAND = Command(explain)
