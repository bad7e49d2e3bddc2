"""From what stands on a command line to objects: ``package.module:name`` and ``path/to/file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from evengrad.errors import UsageError


def load(text: str, option: str) -> object:
    """Return what ``package.module:name`` or ``file.py:name`` stands for.

    Args:
        text: The reference.
        option: What the user calls it, for the message.

    Raises:
        UsageError: There is no such module or name, or importing it fails.
    """
    place, colon, path = text.rpartition(":")
    if not colon or not place or not path:
        raise UsageError(f"{option} is {text!r}: expected package.module:name or path/to/file.py:name")
    found: object = _module(place, option)
    for attribute in path.split("."):
        names = vars(found) if hasattr(found, "__dict__") else {}
        if attribute not in names and not hasattr(found, attribute):
            close = [name for name in names if not name.startswith("_")][:8]
            raise UsageError(f"{option}: {place} has no {path!r} (it has: {', '.join(close) or 'nothing'})")
        found = getattr(found, attribute)
    return found


def is_reference(text: str) -> bool:
    """Return whether a text names an object of the user's: ``package.module:name`` or ``file.py:name``."""
    place, colon, name = text.rpartition(":")
    return bool(colon and place and name) and name.replace(".", "").isidentifier()


def _module(place: str, option: str) -> ModuleType:
    """Import a module by name or file, with the working directory importable as it is for ``python -m``."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return _file(Path(place), option) if place.endswith(".py") else importlib.import_module(place)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        wanted = error.name or place
        here = "is not installed, and no file of that name lies here" if place.startswith(wanted) else "is missing"
        raise UsageError(f"{option}: cannot import {place!r}: module {wanted!r} {here}") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UsageError(f"{option}: importing {place!r} failed: {type(error).__name__}: {reason}") from error


def _file(path: Path, option: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{option}: there is no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{option}: {str(path)!r} is not a Python file")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name.
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
