"""Pages about rules, made from what the rule classes say of themselves: for ``explain`` and for the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.errors import UsageError

if TYPE_CHECKING:
    from evengrad.rules._base import AbstractRule

_HEADING: Final = re.compile(r"([A-Z][A-Za-z ]+):")
_ENTRY: Final = re.compile(r"(\w+): +(.*)")
_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")
_THRESHOLDS: Final = ("Thresholds", "Attributes")  # the rule's own; those of a group of thresholds


def find_rule(name: str) -> AbstractRule:
    """Return a rule by its id.

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
    return " ".join(_sections(type(rule))[""].split())


def page(rule: AbstractRule) -> str:
    """Return a rule's page in Markdown: its docstring's sections, its thresholds with their values."""
    parts = [f"# {rule.id}", summary(rule)]
    for heading, text in _sections(type(rule)).items():
        if heading in _THRESHOLDS:
            parts += [f"## {heading}", _table(rule)]
        elif heading:
            parts += [f"## {heading}", *_paragraphs(text)]
    return "\n\n".join(parts) + "\n"


def _sections(kind: type) -> dict[str, str]:
    """Return a class's docstring by section; what comes before the first heading is under ``""``."""
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    for line in inspect.cleandoc(_ROLE.sub(r"`\1`", kind.__doc__ or "")).splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            current = sections[heading[1]] = []
        else:
            current.append(line)
    return {heading: inspect.cleandoc("\n".join(["", *lines])) for heading, lines in sections.items()}


def _paragraphs(text: str) -> Iterator[str]:
    """Give the paragraphs of a section, each on one line."""
    for paragraph in re.split(r"\n\s*\n", text):
        yield " ".join(paragraph.split())


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
    """Return what a class's docstring says of its fields."""
    meanings: dict[str, str] = {}
    sections = _sections(kind)
    text = next((sections[heading] for heading in _THRESHOLDS if heading in sections), "")
    name = ""
    for line in text.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry:
            name = entry[1]
            meanings[name] = entry[2].strip()
        elif name:
            meanings[name] = f"{meanings[name]} {line.strip()}".strip()
    return meanings
