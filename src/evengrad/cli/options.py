"""The options of ``evengrad run``, checked before the script starts: hours later is too late for a typing error."""

from __future__ import annotations

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
        base: Folder that holds ``.evengrad``.
        json: A further place for the JSON report.
        html: A further place for the HTML report.
        fail_on: Severity of a finding that turns exit code 0 into 1.
        language: Of everything that is said to the user.
        quiet: Whether to keep the report off stderr.
    """

    budget: float
    steps: int | None
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
        budget: float,
        steps: int | None,
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
        if not 0 < budget <= 1:  # also refuses nan
            raise UsageError(f"--budget is {budget:g}: expected a share of run time above 0, at most 1 (0.01 is 1 %)")
        if steps is not None and steps < 1:
            raise UsageError(f"--steps is {steps}: expected a number of optimizer steps, at least 1")
        base = (output or Path()).absolute()
        if base.exists() and not base.is_dir():
            raise UsageError(f"--output is {str(output)!r}, a file: expected a folder")
        return cls(
            budget=budget,
            steps=steps,
            base=base,
            json=writable_file("--json", json),
            html=writable_file("--html", html),
            fail_on=fail_on,
            language=language,
            quiet=quiet,
        )


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
