"""Texts in the reader's language, and strings of a run made safe to show."""

from __future__ import annotations

import json
import logging
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from evengrad.core.finding import Advice, Cause, Finding
from evengrad.errors import UsageError

_log = logging.getLogger(__name__)

LANGUAGES: Final = {"en": "en", "zh-TW": "zh_TW"}  # language → folder of its texts
HTML_LANGUAGE: Final = {"en": "en", "zh-TW": "zh-Hant-TW"}
_SHARED: Final = "_report"  # the file of texts that belong to no rule


@dataclass(frozen=True)
class Texts:
    """Look-ups of one language; whatever it lacks is said in English, never left out and never an error.

    Attributes:
        lang: The language.
        book: The file of texts that comes before the shared one.
    """

    lang: str
    book: str = _SHARED

    def say(self, key: str, **values: str) -> str:
        """Return one of the report's own texts, filled; the key itself where no language has it."""
        for lang in (self.lang, "en"):
            for book in dict.fromkeys((self.book, _SHARED)):
                filled = _fill(_texts(lang, book).get(key), values)
                if filled is not None:
                    return filled
        _log.debug("no text for %r", key)
        return key

    def count(self, key: str, number: int) -> str:
        """Return a counted noun: ``key.one`` or ``key.other`` with ``{number}``."""
        return self.say(f"{key}.{'one' if number == 1 else 'other'}", number=f"{number:,}")

    def has(self, key: str) -> bool:
        """Say whether any language that this one falls back to has a text of its own for a key."""
        return any(key in _texts(lang, _SHARED) for lang in (self.lang, "en"))

    def message(self, finding: Finding) -> str:
        """Return what a finding says."""
        return clean(self._of_rule(finding.message_key, finding.values) or finding.message)

    def explanation(self, cause: Cause) -> str:
        """Return what a cause says."""
        return clean(self._of_rule(cause.key, cause.values) or cause.explanation)

    def reason(self, advice: Advice) -> str:
        """Return why a remedy fits."""
        return clean(self._of_rule(advice.key, advice.values) or advice.why)

    def remedy(self, name: str) -> str:
        """Return what a remedy does, in a sentence; "" where this language has none."""
        return _texts(self.lang, f"remedy-{name}").get("summary", "")

    def quantity(self, rule: str, phrase: str) -> str:
        """Return a rule's name of a measured quantity."""
        key = f"quantity:{phrase}"
        return clean(_texts(self.lang, rule).get(key) or _texts(self.lang, "check").get(key, phrase))

    def _of_rule(self, qualified: str, values: tuple[tuple[str, str], ...]) -> str | None:
        """Return a rule's template in this language, filled; None where there is none, or its blanks do not fit."""
        rule, _, key = qualified.partition(".")
        return _fill(_texts(self.lang, rule).get(key), dict(values)) if key else None


@cache
def texts(lang: str, book: str = _SHARED) -> Texts:
    """Return the texts of a language.

    Args:
        lang: The language.
        book: A file of texts that comes before the shared one.

    Raises:
        UsageError: there are no texts in that language.
    """
    if lang not in LANGUAGES:
        raise UsageError(f"no language {lang!r} (there is: {', '.join(LANGUAGES)})")
    return Texts(lang, book)


@cache
def _texts(lang: str, name: str) -> Mapping[str, str]:
    """Return the texts of one file, ``{}`` where it is missing or spoilt: a report must not fail for want of words."""
    if not name.replace("-", "").replace("_", "").isalnum():
        return {}
    path = files("evengrad.reports") / "locale" / LANGUAGES[lang] / f"{name}.json"
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.debug("texts %s of %s cannot be read: %s", name, lang, error)
        return {}
    return {key: value for key, value in loaded.items() if isinstance(value, str)}


def _fill(template: str | None, values: Mapping[str, str]) -> str | None:
    """Return a filled template, or None where there is none, or a blank has no value."""
    if template is None:
        return None
    try:
        return template.format_map(values)
    except (KeyError, IndexError, ValueError) as error:
        _log.debug("template %r cannot be filled: %r", template, error)
        return None


def clean(text: str) -> str:
    """Return a string of the run with everything removed that could steer a terminal or reorder a line.

    Names of modules and files are the user's (or an attacker's): escape sequences, bidirectional overrides and lone
    surrogates become U+FFFD, line breaks and tabs become spaces.
    """
    return "".join(_harmless(character) for character in text)


def _harmless(character: str) -> str:
    if character.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def shorten(text: str, width: int) -> str:
    """Return a text of at most ``width`` characters, its middle left out: both ends of a dotted name tell most."""
    if len(text) <= width:
        return text
    kept = max(2, width) - 1
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def number(value: float) -> str:
    """Return a number with three significant digits, ``0.05``, ``1,797`` or ``1.2e-7``."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    mantissa, mark, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def decades(value: float, digits: int = 1) -> str:
    """Return a signed number of decades, ``-4.9``; a vanished rest is ``0.0``, never ``-0.0``."""
    if not math.isfinite(value):
        return number(value)
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0.0:.{digits}f}"


def scientific(value: float) -> str:
    """Return a size of a gradient, ``4.0e-8``: the exponents of a column are what the eye compares."""
    if not math.isfinite(value) or value == 0:
        return number(value)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def percent(share: float) -> str:
    """Return a share in percent, ``0.7 %``, ``1 %`` or ``86 %``."""
    if not math.isfinite(share):
        return "?"
    return f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f}".removesuffix(".0") + " %"
