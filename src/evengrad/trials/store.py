"""What finished runs left, kept so that a fix that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from evengrad.core.trace import Trace
from evengrad.core.trial import Curve
from evengrad.errors import RunFolderError
from evengrad.recording.files import write_whole
from evengrad.recording.folder import RUNS, read_trace
from evengrad.recording.state import RUN_FILE
from evengrad.trials.arm import LOSSES
from evengrad.trials.process import Stop

logger = logging.getLogger(__name__)

_RECORD: Final = "reached.json"
_FORMAT: Final = 1  # raised when what is kept means something else


@dataclass(frozen=True)
class Reached:
    """What a run had shown when it stood still, or ended.

    Attributes:
        curve: Its losses.
        folder: Where its trace is kept; None when it left none.
        seconds: Wall time that it took; 0 when it was taken from the store.
        steps: Optimizer steps that were newly made for it.
    """

    curve: Curve
    folder: Path | None = None
    seconds: float = 0.0
    steps: int = 0

    def trace(self) -> Trace | None:
        """Return what was measured, or None."""
        if self.folder is None or not (self.folder / RUN_FILE).exists():
            return None
        try:
            return read_trace(self.folder)
        except RunFolderError as error:
            logger.debug("no trace: %s", error)
            return None


def fix_folder(base: Path, identity: object) -> Path:
    """Return the folder of one fix: the same for the same program, arguments and sources.

    Args:
        base: Where ``.evengrad`` is.
        identity: Anything whose ``repr`` says what is fixed.
    """
    name = hashlib.sha256(f"{_FORMAT} {identity!r}".encode()).hexdigest()[:12]
    return base / RUNS / f"fix-{name}"


def text_key(texts: Mapping[str, str]) -> str:
    """Return a short name for patched sources: equal for equal ones, whatever plan they come from."""
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]


class Store:
    """Keeps what runs reached in a folder, each in one moment: a kill leaves a whole record or none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder.parent / ".gitignore"
        if not ignore.exists():
            write_whole(ignore, b"*\n")

    def find(self, run: str, steps: int | None) -> Reached | None:
        """Return what a run showed at a step, or at its end if that came first; None when it never got there."""
        places = [self.folder / run / "end"]
        if steps is not None:
            places.append(self.folder / run / f"at-{steps}")
        for place in places:
            reached = _read(place)
            if reached is not None and (steps is None or reached.curve.steps <= steps):
                return reached
        return None

    def keep(self, run: str, stop: Stop) -> Reached:
        """Keep where a run stands; what it left is moved here."""
        curve = stop.curve
        over = curve.ended or bool(curve.error)
        place = self.folder / run / ("end" if over else f"at-{curve.steps}")
        try:
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            if stop.folder is not None:
                shutil.copytree(stop.folder, place)
            else:
                place.mkdir()
            (place / LOSSES).write_text(json.dumps([loss.hex() for loss in curve.losses]))
            record = {"seed": curve.seed, "ended": curve.ended, "error": curve.error, "finals": dict(curve.finals)}
            write_whole(place / _RECORD, json.dumps(record).encode())
        except OSError as error:
            logger.warning("a run is not kept for later: %s", error)
            return Reached(curve, stop.folder)
        return Reached(curve, place)


def _read(place: Path) -> Reached | None:
    try:
        record = json.loads((place / _RECORD).read_text())
        losses = tuple(map(float.fromhex, json.loads((place / LOSSES).read_text())))
        curve = Curve(int(record["seed"]), losses, bool(record["ended"]), str(record["error"]))
        finals = tuple((str(name), float(value)) for name, value in record["finals"].items())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.debug("left out a damaged record: %s", error)
        return None
    return Reached(replace(curve, finals=finals), place)
