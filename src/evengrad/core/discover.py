"""Find the items of a catalogue package by walking its folder."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def catalogue(package: str) -> dict[str, ModuleType]:
    """Return the modules of a catalogue package by item id, in alphabetical order.

    The file name is the id: ``rules/dead_units.py`` is ``dead-units``. Files that start with ``_`` are helpers.

    Args:
        package: Dotted name of the package, ``"evengrad.rules"``.
    """
    parent = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(parent.__path__) if not info.name.startswith("_"))
    return {name.replace("_", "-"): importlib.import_module(f"{package}.{name}") for name in names}
