"""Which line of the user's own code is behind something."""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import sysconfig
from functools import lru_cache
from types import FrameType

from evengrad.core.info import SourceLine

_LIBRARY = tuple(
    os.path.realpath(path) + os.sep for path in {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib")}
)
_PACKAGE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..")) + os.sep
_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+), in ')


@lru_cache(maxsize=4096)
def is_user_file(filename: str) -> bool:
    """Return whether a file is the user's own: not installed, not Python's, not ours, not generated."""
    if filename.startswith("<"):
        return filename.startswith(("<stdin", "<string", "<ipython"))
    path = os.path.realpath(filename)
    if f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return False
    if path.startswith(_PACKAGE):
        # Our own toy problems and tests are user code to us.
        return path.startswith(_PACKAGE + "cases" + os.sep)
    return not path.startswith(_LIBRARY)


def variables_of(frame: FrameType) -> dict[str, object]:
    """Return the variables of a frame, without leaving the frame a copy that keeps alive what the user deletes."""
    seen = frame.f_locals
    found = dict(seen)
    # Before Python 3.13 a function's frame keeps this very dictionary; emptying it changes no variable.
    if type(seen) is dict and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        seen.clear()
    return found


def line_of(filename: str, number: int) -> SourceLine:
    """Return a line of a file, its text included; the file relative to the working directory where it lies below."""
    text = linecache.getline(filename, number).strip()[:200]
    try:
        relative = os.path.relpath(filename)
    except (ValueError, OSError):  # another drive; a working directory that is gone
        relative = filename
    return SourceLine(filename if relative.startswith("..") else relative, number, text)


def calling_line(skip_constructor_of: object | None = None) -> tuple[str, int] | None:
    """Return file and line of the nearest caller in the user's own code.

    Args:
        skip_constructor_of: An object; frames of its own ``__init__`` are passed over.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        own = is_user_file(code.co_filename)
        if own and skip_constructor_of is not None and code.co_name == "__init__" and code.co_varnames:
            own = variables_of(frame).get(code.co_varnames[0]) is not skip_constructor_of
        if own:
            return code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def line_from_traceback(formatted: list[str]) -> tuple[str, int] | None:
    """Return file and line of the innermost entry of a formatted stack that lies in the user's own code."""
    for entry in reversed(formatted):
        match = _FRAME.match(entry)
        if match and is_user_file(match["file"]):
            return match["file"], int(match["line"])
    return None
