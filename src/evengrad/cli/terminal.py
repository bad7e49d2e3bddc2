"""The one way in which evengrad speaks to a person: lines on the process's own stderr."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from evengrad.errors import EvengradError

logger = logging.getLogger(__name__)


def stderr() -> TextIO | None:
    """Return the stderr that the process was started with, or None when it is closed.

    A script may put something else into ``sys.stderr``: what it collects there is its own.
    """
    stream = sys.__stderr__
    return None if stream is None or stream.closed else stream


def say(text: str) -> None:
    """Print one line of ours; a stream that cannot take it is no reason to disturb anyone."""
    stream = stderr()
    if stream is None:
        return
    try:
        print(f"evengrad: {' '.join(text.split())}", file=stream, flush=True)
    except (OSError, ValueError) as error:
        logger.debug("stderr does not take a line: %s", error)


def describe(error: BaseException) -> str:
    """Return an error as one line: its type where the text alone would not tell, then its text."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception class of the user's own, whose text fails
        return type(error).__name__
    if isinstance(error, EvengradError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def flush_stdout() -> None:
    """Let the program's last output come before the report.

    A stream that fails here fails again at the interpreter's own flush, which reports it as for any program.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        logger.debug("stdout cannot be flushed: %s", error)
