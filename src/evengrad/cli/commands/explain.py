"""``evengrad explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from evengrad.cli.commands._base import Command


def explain(
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Its id; all are listed without it.")] = None,
) -> int:
    """Explain a rule: what it measures, why it hurts, when it misleads, its thresholds and their sources."""
    from rich.console import Console
    from rich.markdown import Markdown

    from evengrad.cli.pages import find_rule, page

    console = Console()
    if rule is None:
        console.print(_list())
    elif console.is_terminal:
        console.print(Markdown(page(find_rule(rule))))
    else:
        print(page(find_rule(rule)), end="")
    return 0


def _list() -> object:
    """Return all rules with their summaries, ready to print."""
    from rich.table import Table

    from evengrad.cli.pages import summary
    from evengrad.diagnosis.diagnose import catalogue_rules

    table = Table.grid(padding=(0, 2, 0, 0))
    for name, rule in catalogue_rules().items():
        table.add_row(name, summary(rule))
    return table


COMMAND = Command(explain)
