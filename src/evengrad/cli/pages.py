"""Pages about rules and remedies, made from what their classes say: for ``explain`` and for the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from evengrad.core.plan import Risk
from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.errors import UsageError
from evengrad.remedies._base import AbstractRemedy, Fault
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.reports.pages import sections
from evengrad.rules._base import AbstractRule

Item = AbstractRule | AbstractRemedy

_ENTRY: Final = re.compile(r" {4}(\w+(?:, \w+)*): *(.*)")
_THRESHOLDS: Final = ("Thresholds", "Settings", "Attributes")  # of a rule; of a remedy; of a group of either's


def find_item(name: str) -> Item:
    """Return a rule or a remedy by its id.

    Args:
        name: What the user typed.

    Returns:
        The rule or remedy of that id.

    Raises:
        UsageError: there is none.
    """
    rules, remedies = catalogue_rules(), catalogue_remedies()
    known: dict[str, Item] = {**rules, **remedies}
    if name in known:
        return known[name]
    close = get_close_matches(name.lower().replace("_", "-"), known, n=1)
    hint = (
        f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(rules)}; and remedies: {', '.join(remedies)}"
    )
    raise UsageError(f"no rule or remedy {name!r}; {hint}")


def summary(item: Item) -> str:
    """Return the first sentence of a rule's or remedy's docstring."""
    return sections(type(item).__doc__ or "")[0].paragraphs[0]


def page(item: Item) -> str:
    """Return a page in Markdown: the docstring's sections, thresholds with their values, what a remedy treats."""
    parts = [f"# {item.id}"]
    for section in sections(type(item).__doc__ or ""):
        parts += [f"## {section.title}"] if section.title else []
        parts += [_table(item)] if section.title in _THRESHOLDS else section.paragraphs
    if isinstance(item, AbstractRemedy):
        parts += ["## What it treats", _treated(item)]
    return "\n\n".join(parts) + "\n"


def _treated(remedy: AbstractRemedy) -> str:
    """Return what a remedy is tried for, and how far it reaches."""
    lines = [f"How far it reaches: {remedy.risk.value} ({remedy.risk.rank + 1} of {len(Risk)})."]
    for said, treated in (("Tried first for", remedy.cures), ("Tried after others for", remedy.eases)):
        if treated:
            lines += ["", f"{said}:", "", *(f"- {entry}" for entry in _by_cause(treated))]
    return "\n".join(lines)


def _by_cause(treated: Iterable[Fault]) -> list[str]:
    """Return faults as lines, one per cause with the rules that may name it."""
    causes: dict[str, list[str]] = {}
    for rule, cause in sorted(treated, key=lambda pair: (pair[1].value if pair[1] else "", pair[0])):
        causes.setdefault(cause.value if cause else "no cause found", []).append(f"`{rule}`")
    return [f"{cause}: {', '.join(rules)}" for cause, rules in causes.items()]


def _table(item: Item) -> str:
    """Return thresholds as a table: name, value, what it is and where it comes from."""
    rows = ["| name | value | what it is, and its source |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {value} | {meaning} |" for name, value, meaning in _thresholds(item)]
    return "\n".join(rows)


def _thresholds(item: object, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Give name, value and meaning of the fields of a rule or remedy, and of the groups of thresholds among them."""
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
