"""The command ``evengrad``."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

import evengrad
from evengrad.cli.commands._base import Command
from evengrad.cli.launch import Launch
from evengrad.cli.terminal import describe, say
from evengrad.core.discover import catalogue
from evengrad.errors import EvengradError

logger = logging.getLogger(__name__)

# typer carries its own copy of click in newer versions and uses the installed one in older ones: either way, this is
# the class of every complaint about a command line.
_UsageProblem: type[Exception] = typer.BadParameter.__bases__[0]


class _Lines(logging.Handler):
    """Shows the package's warnings as lines of ours, and keeps them out of a script's own log."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def main() -> None:
    """Carry out the command line of this process, and leave with its exit code.

    Raises:
        SystemExit: with any exit code but 0.
    """
    _route_warnings()
    outcome = parse(sys.argv[1:])
    if isinstance(outcome, Launch):
        outcome.carry_out()
    elif outcome:
        raise SystemExit(outcome)


def parse(arguments: list[str]) -> int | Launch:
    """Carry out a command line but for launches, which are returned.

    Args:
        arguments: What follows ``evengrad``.

    Returns:
        A launch still to be carried out, or an exit code: 0 healthy, 1 findings, 2 wrong usage, 3 failure.
    """
    try:
        command = typer.main.get_command(_app())
        outcome = command.main(args=arguments, prog_name="evengrad", standalone_mode=False)
        return outcome if isinstance(outcome, Launch) else int(outcome or 0)
    except EvengradError as error:
        say(str(error))
        return error.exit_code
    except _UsageProblem as error:
        return _explain(error)
    except typer.Abort:
        return 2
    except BrokenPipeError:  # the reader of our output has gone: `evengrad explain … | head`
        sys.stdout = None
        return 3
    except Exception as error:
        logger.debug("command failed", exc_info=True)
        say(f"{describe(error)}; this is a fault of evengrad")
        return 3


def _app() -> typer.Typer:
    """Return the application, its commands found by walking their folder."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=_HELP)
    app.callback(invoke_without_command=True)(_top)
    for name, module in catalogue("evengrad.cli.commands").items():
        command: Command = module.COMMAND
        settings = {**_HELP, "allow_interspersed_args": command.owns_options}
        app.command(name, context_settings=settings)(command.call)
    return app


_HELP = {"help_option_names": ["-h", "--help"]}


def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Find vanishing and exploding gradients in a PyTorch training script: where, since which step, and why.

    evengrad run train.py --lr 0.1
    """
    if version:
        print(f"evengrad {evengrad.__version__}")
        context.exit()
    if context.invoked_subcommand is None:
        print(context.get_help())
        context.exit()


def _explain(problem: Exception) -> int:
    """Say in one line what typer found wrong with the command line."""
    text = str(problem.format_message() if isinstance(problem, typer.BadParameter) else problem)
    text = text.replace("Value error, ", "")
    context = getattr(problem, "ctx", None)
    path = context.command_path if context is not None else "evengrad"
    say(f"{text[:1].lower()}{text[1:].rstrip('.')}; see '{path} --help'")
    return 2


def _route_warnings() -> None:
    """Say the package's warnings on stderr, whatever a script does to logging."""
    root = logging.getLogger("evengrad")
    root.addHandler(_Lines(logging.WARNING))
    root.propagate = False
