"""Names and numbers as the texts about theory say them."""

from __future__ import annotations

import math
import re
from typing import Final

from evengrad.errors import UsageError
from evengrad.reports.text import Texts, clean, decades
from evengrad.theory.activation import Activation
from evengrad.theory.lookup import as_activation, known_activations
from evengrad.theory.quadrature import LARGEST_VARIANCE, SMALLEST_VARIANCE

BOOK: Final = "_theory"  # the file of texts

SMALLEST, LARGEST = math.log10(SMALLEST_VARIANCE), math.log10(LARGEST_VARIANCE)  # variances that theory follows

_HAN, _LATIN = r"[\u4e00-\u9fff]", r"[A-Za-z0-9]"
_SEAM: Final = re.compile(f"(?<={_HAN})(?={_LATIN})|(?<={_LATIN})(?={_HAN})")


def spoken_name(activation: Activation) -> str:
    """Return what people call an activation: its parameters only where they are not the usual ones."""
    if activation.name not in known_activations():
        return clean(activation.label)
    try:
        usual = as_activation(activation.name).parameters
    except UsageError:  # one without defaults
        usual = ()
    return activation.name if activation.parameters == usual else clean(activation.label)


def title_of(initialisation: str, words: Texts) -> str:
    """Return an initialisation as the head of a row."""
    return words.say(f"init.{initialisation}")


def precise(value: float) -> str:
    """Return a number that somebody may copy: five significant digits."""
    return f"{value:.5g}" if math.isfinite(value) else "inf" if value > 0 else "-inf"


def layers(scale: float, words: Texts) -> str:
    """Return a depth scale."""
    if math.isinf(scale):
        return words.say("word.unlimited")
    return words.say("count.layers", number=f"{scale:.3g}")


def depth_text(limit: float, depth: int, words: Texts, *, unit: bool = False) -> str:
    """Return a largest depth in whole layers; one that only the depth looked at limits is ``50 or more``."""
    if limit < 1:
        return words.say("depth.none")
    if not math.isinf(limit):
        return words.say("depth.layers" if unit else "depth", number=f"{math.floor(limit):,}")
    return words.say("depth.layers.and-more" if unit else "depth.and-more", number=f"{depth:,}")


def size_text(log: float) -> str:
    """Return log10 of a variance; where it leaves what theory follows, it says so."""
    if log <= SMALLEST:
        return f"<{decades(SMALLEST, 0)}"
    return decades(log) if log < LARGEST else f">{decades(LARGEST, 0)}"


def spaced(text: str) -> str:
    """Return a text with a space wherever Chinese meets a Latin word that was filled in."""
    return _SEAM.sub(" ", text)
