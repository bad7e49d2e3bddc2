"""A rule's page for a report: the sections of its docstring."""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from evengrad.core.discover import catalogue

_log = logging.getLogger(__name__)

_HEADING: Final = re.compile(r"([A-Z][A-Za-z ]+):")
_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")
_FIELD: Final = re.compile(r"[a-z_]+: ")


@dataclass(frozen=True)
class Section:
    """A section of a rule's page; ``listed`` says that its paragraphs are items of a list."""

    title: str
    paragraphs: tuple[str, ...]
    listed: bool = False


@cache
def rule_page(rule: str) -> tuple[Section, ...]:
    """Return the sections of a rule's docstring, the first without a title; () for a rule that nobody wrote."""
    module = catalogue("evengrad.rules").get(rule)
    if module is None:
        _log.debug("no rule %r in the catalogue", rule)
        return ()
    return sections(type(module.RULE).__doc__ or "")


def sections(docstring: str) -> tuple[Section, ...]:
    """Return the sections of a docstring: what follows each line that is a capitalised heading with a colon."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in inspect.cleandoc(_ROLE.sub(r"`\1`", docstring)).splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            found.append((heading[1], []))
        else:
            found[-1][1].append(line)
    return tuple(_section(title, lines) for title, lines in found if any(line.strip() for line in lines))


def _section(title: str, lines: list[str]) -> Section:
    """Return a section: paragraphs end at empty lines; where every entry is ``name: text``, entries at the names."""
    body = inspect.cleandoc("\n".join(["", *lines])).splitlines()
    listed = bool(body) and _FIELD.match(body[0]) is not None
    paragraphs: list[list[str]] = [[]]
    for line in body:
        begins = not line.strip() or (listed and _FIELD.match(line))
        if begins and paragraphs[-1]:
            paragraphs.append([])
        if line.strip():
            paragraphs[-1].append(line.strip())
    return Section(title, tuple(" ".join(lines) for lines in paragraphs if lines), listed)
