"""The characters that a terminal can show: blocks and arrows where it can, ASCII where its encoding is an old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evengrad.reports.text import texts

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

# Typographic characters of the reports' own texts, for encodings that lack them.
_PLAIN: Final = str.maketrans(
    {"→": "->", "…": "...", "·": "-", "×": "x", "–": "-", "—": "-", "−": "-", "Δ": "d", "≤": "<=", "≥": ">=", "◄": "<"}
    | {"‘": "'", "’": "'", "“": '"', "”": '"', "\N{REPLACEMENT CHARACTER}": "?"}
)


@dataclass(frozen=True)
class Glyphs:
    """How to draw in an encoding; ``blocks`` says whether it has block elements."""

    encoding: str = "utf-8"
    blocks: bool = True

    def bar(self, fraction: float, width: int) -> str:
        """Return a bar of up to ``width`` cells; a value on the axis shows at least a trace."""
        cells = min(1.0, max(0.0, fraction)) * width
        if not self.blocks:
            return "#" * max(1, round(cells))
        whole, part = int(cells), int(8 * (cells - int(cells)))
        return "█" * whole + (_EIGHTHS[part] if part else "") or _EIGHTHS[1]

    def fit(self, text: str) -> str:
        """Return a text with every character that the encoding lacks put in ASCII, or a question mark."""
        if self.blocks:
            return text
        return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding, "replace")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return how to draw in an encoding, ASCII for one that Python does not know."""
    try:
        "█▏◄→…".encode(encoding or "ascii")
    except UnicodeEncodeError:
        return Glyphs(encoding or "ascii", blocks=False)
    except LookupError:
        return Glyphs("ascii", blocks=False)
    return Glyphs(encoding or "utf-8")


def can_show(lang: str, encoding: str | None) -> bool:
    """Say whether an encoding has the letters of a language; if not, a terminal report is better written in English."""
    try:
        texts(lang).say("next.healthy").translate(_PLAIN).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
