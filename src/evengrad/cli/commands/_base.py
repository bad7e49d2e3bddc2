"""What every command is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evengrad.cli.launch import Launch

Outcome = int | Launch


@dataclass(frozen=True)
class Command:
    """A command of the command line; its module names it ``COMMAND``.

    Attributes:
        call: Takes the options (typer reads them from its annotations) and returns an exit code, or a launch to carry
            out once the parsing of the command line is off the stack. Its docstring is the help text.
        owns_options: False when everything after the first plain argument belongs to someone else's command line.
    """

    call: Callable[..., Outcome]
    owns_options: bool = True
