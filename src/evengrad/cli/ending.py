"""How a program ends: shown and left exactly as the interpreter would have done, without our frames."""

from __future__ import annotations

import sys
from types import TracebackType

from evengrad.cli.program import AbstractProgram


def run(program: AbstractProgram) -> BaseException | None:
    """Run a program; return what ended it, its traceback cut to the program's own frames, or None."""
    try:
        program.start()
    except BaseException as error:  # SystemExit and KeyboardInterrupt are endings too
        return error.with_traceback(_without_ours(error.__traceback__))
    return None


def show(ending: BaseException) -> BaseException:
    """Print what the interpreter prints of an ending, before anything of ours is printed.

    Args:
        ending: What ended the program.

    Returns:
        What decides the exit code: ``ending``, or the ``SystemExit`` that the program's own exception hook raised.
    """
    if isinstance(ending, SystemExit):
        return _show_exit(ending)
    sys.last_type, sys.last_value, sys.last_traceback = type(ending), ending, ending.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = ending
    try:
        sys.excepthook(type(ending), ending, ending.__traceback__)
    except SystemExit as exit_:
        return _show_exit(exit_)
    except BaseException as fault:
        _show_broken_hook(fault.with_traceback(_without_ours(fault.__traceback__)), ending)
    return ending


def leave(ending: BaseException | None) -> None:
    """Leave the process the way this ending does, when `show` has shown it.

    Raises:
        SystemExit: with the program's own exit code.
        KeyboardInterrupt: so that the interpreter dies of SIGINT, as shells and schedulers expect.
    """
    if ending is None:
        return
    if isinstance(ending, SystemExit):
        raise SystemExit(ending.code)
    if isinstance(ending, KeyboardInterrupt):
        sys.excepthook = _shown_already
        raise KeyboardInterrupt
    raise SystemExit(1)


def succeeded(ending: BaseException | None) -> bool:
    """Return whether the program's own exit code is 0."""
    return ending is None or (isinstance(ending, SystemExit) and (ending.code is None or ending.code == 0))


def _show_exit(ending: SystemExit) -> SystemExit:
    """Print the message of ``sys.exit("message")``; return an exit with the code that it stands for."""
    if ending.code is None or isinstance(ending.code, int):
        return ending
    if sys.stderr is not None:
        print(ending.code, file=sys.stderr, flush=True)
    return SystemExit(1)


def _show_broken_hook(fault: BaseException, ending: BaseException) -> None:
    """Say that ``sys.excepthook`` failed, in the interpreter's words."""
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(fault), fault, fault.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(ending), ending, ending.__traceback__)


def _shown_already(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print nothing."""


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Drop the frames at the head of a traceback that lie in this package."""
    package = __name__.rpartition(".")[0]
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith(f"{package}."):
        trace = trace.tb_next
    return trace
