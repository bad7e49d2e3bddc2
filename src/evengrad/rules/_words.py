"""Numbers and places as a person reads them; the same in every language."""

from __future__ import annotations

import math
from collections.abc import Iterable

from evengrad.core.info import SourceLine
from evengrad.core.trace import Trace


def number(value: float) -> str:
    """Return a number with three significant digits, ``1,200`` or ``3.4e-08``."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share as a percentage, ``96 %``."""
    return f"{100 * share:.0f} %"


def place(trace: Trace, module: str) -> str:
    """Return a module's name; the class of the model where the name is empty."""
    info = trace.module(module)
    return module or (info.kind if info else "") or "model"


def lines(*candidates: SourceLine | None) -> tuple[SourceLine, ...]:
    """Return the source lines that are known, each once, in order."""
    return tuple(dict.fromkeys(line for line in candidates if line is not None))


def module_of(trace: Trace, parameters: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that own the parameters, each once, in order."""
    owners = (info.module for name in parameters if (info := trace.parameter(name)) is not None)
    return tuple(dict.fromkeys(owners))
