"""The options of ``evengrad run``, checked before the script starts: hours later is too late for a typing error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from evengrad.errors import UsageError


class Language(str, Enum):
    """A language that reports are written in."""

    EN = "en"
    ZH_TW = "zh-TW"


class Level(str, Enum):
    """A severity from which on ``--fail-on`` fails a run."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Options:
    """What the user asked of a watched run. Paths are absolute: the script may change the working directory.

    Attributes:
        budget: Share of run time that watching may cost, above 0 and at most 1.
        steps: How many optimizer steps to watch; None for all.
        started_in: Where the user is.
        base: Folder that holds ``.evengrad``.
        json: A further place for the JSON report.
        html: A further place for the HTML report.
        fail_on: Severity of a finding that turns exit code 0 into 1.
        language: Of everything that is said to the user.
        quiet: Whether to keep the report off stderr.
    """

    budget: float
    steps: int | None
    started_in: Path
    base: Path
    json: Path | None
    html: Path | None
    fail_on: Level | None
    language: Language
    quiet: bool

    @classmethod
    def check(
        cls,
        *,
        budget: str,
        steps: str | None,
        output: Path | None,
        json: Path | None,
        html: Path | None,
        fail_on: Level | None,
        language: Language,
        quiet: bool,
    ) -> Options:
        """Return the options if they make sense.

        Raises:
            UsageError: one of them does not.
        """
        base = (output or Path()).absolute()
        if base.exists() and not base.is_dir():
            raise UsageError(f"--output is {str(output)!r}, a file: expected a folder")
        return cls(
            budget=share(budget),
            steps=None if steps is None else count(steps),
            started_in=Path.cwd(),
            base=base,
            json=writable_file("--json", json),
            html=writable_file("--html", html),
            fail_on=fail_on,
            language=language,
            quiet=quiet,
        )


def share(text: str) -> float:
    """Return the value of ``--budget``.

    Raises:
        UsageError: it is not a share.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:  # also refuses nan
        raise UsageError(f"--budget is {text}: expected a share of run time above 0 and at most 1; 0.01 is 1 %")
    return value


def count(text: str) -> int:
    """Return the value of ``--steps``.

    Raises:
        UsageError: it is not a number of steps.
    """
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise UsageError(f"--steps is {text}: expected a number of optimizer steps, at least 1")
    return int(text)


def writable_file(option: str, path: Path | None) -> Path | None:
    """Return an option's path made absolute, if a file may be written there.

    Raises:
        UsageError: it is a folder, or lies in none.
    """
    if path is None:
        return None
    if path.is_dir():
        raise UsageError(f"{option} is {str(path)!r}, a folder: expected the path of a file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{option} is {str(path)!r}, but there is no folder {str(path.parent)!r}; make it first")
    return path.absolute()
