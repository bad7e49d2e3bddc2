"""How a program ends: shown and left exactly as the interpreter would have done, without our frames."""

from __future__ import annotations

import sys
from types import TracebackType

from evengrad.cli.program import AbstractProgram


def run(program: AbstractProgram) -> BaseException | None:
    """Run a program; return what ended it, without our frames in its traceback, or None."""
    try:
        program.start()
    except BaseException as error:  # SystemExit and KeyboardInterrupt are endings too
        return _clean(error)
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
        _show_broken_hook(_clean(fault), ending)
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
    """Drop the frames of a traceback that lie in this package, wherever they are in it."""
    package = __name__.partition(".")[0]
    theirs: list[TracebackType] = []
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if name != package and not name.startswith(f"{package}."):
            theirs.append(trace)
        trace = trace.tb_next
    for entry, following in zip(theirs, [*theirs[1:], None], strict=True):
        entry.tb_next = following
    return theirs[0] if theirs else None


def _clean(error: BaseException) -> BaseException:
    """Drop our frames from an exception and from those that led to it."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _without_ours(one.__traceback__)
        pending += [one.__cause__, one.__context__]
    return error
