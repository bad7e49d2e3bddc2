"""All remedies."""

from __future__ import annotations

from functools import cache

from evengrad.core.discover import catalogue
from evengrad.remedies._base import AbstractRemedy

_WAY_IN = "prescribe"  # the package's entry, no remedy


@cache
def catalogue_remedies() -> dict[str, AbstractRemedy]:
    """Return every remedy of the catalogue by id."""
    return {name: module.REMEDY for name, module in catalogue("evengrad.remedies").items() if name != _WAY_IN}
