"""Pages about rules, made from what the rule classes say of themselves: for ``explain`` and for the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.errors import UsageError
from evengrad.reports.pages import sections
from evengrad.rules._base import AbstractRule

_ENTRY: Final = re.compile(r" {4}(\w+(?:, \w+)*): *(.*)")
_THRESHOLDS: Final = ("Thresholds", "Attributes")  # the rule's own; those of a group of thresholds


def find_rule(name: str) -> AbstractRule:
    """Return a rule by its id.

    Args:
        name: What the user typed.

    Returns:
        The rule of that id.

    Raises:
        UsageError: there is no such rule.
    """
    known = catalogue_rules()
    if name in known:
        return known[name]
    close = get_close_matches(name.lower().replace("_", "-"), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"
    raise UsageError(f"no rule {name!r}; {hint}")


def summary(rule: AbstractRule) -> str:
    """Return the first sentence of a rule's docstring."""
    return sections(type(rule).__doc__ or "")[0].paragraphs[0]


def page(rule: AbstractRule) -> str:
    """Return a rule's page in Markdown: its docstring's sections, its thresholds with their values."""
    parts = [f"# {rule.id}"]
    for section in sections(type(rule).__doc__ or ""):
        parts += [f"## {section.title}"] if section.title else []
        parts += [_table(rule)] if section.title in _THRESHOLDS else section.paragraphs
    return "\n\n".join(parts) + "\n"


def _table(rule: AbstractRule) -> str:
    """Return a rule's thresholds as a table: name, value, what it is and where it comes from."""
    rows = ["| name | value | what it is, and its source |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {value} | {meaning} |" for name, value, meaning in _thresholds(rule)]
    return "\n".join(rows)


def _thresholds(item: object, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Give name, value and meaning of the fields of a rule, and of the groups of thresholds among them."""
    if not dataclasses.is_dataclass(item):
        return
    meanings = _meanings(type(item))
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if dataclasses.is_dataclass(value):
            yield from _thresholds(value, f"{prefix}{field.name}.")
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            yield f"{prefix}{field.name}", shown, meanings.get(field.name, "").replace("|", "\\|")


def _meanings(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of its fields; an entry may name several: ``large, small: …``."""
    meanings: dict[str, str] = {}
    inside = False
    names: list[str] = []
    for line in inspect.cleandoc(kind.__doc__ or "").splitlines():
        entry = _ENTRY.fullmatch(line)
        if line and not line.startswith(" "):
            inside = line.rstrip(":") in _THRESHOLDS
        elif inside and entry:
            names = entry[1].split(", ")
            meanings.update(dict.fromkeys(names, entry[2]))
        elif inside and line:
            meanings.update({name: f"{meanings[name]} {line.strip()}".strip() for name in names})
    return meanings
