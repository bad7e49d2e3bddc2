"""What an arm is told to run: plain values that cross to another process as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """The user's program.

    Attributes:
        name: The script's path as the user wrote it, or a module's dotted name.
        module: Whether it is a module, as after ``python -m``.
        arguments: What follows it on the command line.
        folder: The working directory it is started in, absolute.
    """

    name: str
    module: bool
    arguments: tuple[str, ...]
    folder: str

    @property
    def file(self) -> str:
        """The script's path, absolute but not normalised, as the interpreter names it; "" for a module."""
        return "" if self.module else str(Path(self.folder) / self.name)


@dataclass(frozen=True)
class Job:
    """One run of a target.

    Attributes:
        target: What to run.
        results: An existing folder, outside the user's, that takes what the run leaves.
        texts: Source to run in place of what the files of these absolute paths hold.
        seed: Which replicate; 0 keeps the script's own seeds.
        watched: Whether evengrad watches; a plain run only has its losses written down.
        budget: Share of run time that watching may cost; ten times the usual, since short runs have to tell much.
        isolate: Whether what the program writes is kept from the user's files.
        since: Time before which a file must have been there to count as the user's, in seconds since the epoch.
    """

    target: Target
    results: str
    texts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    watched: bool = True
    budget: float = 0.1
    isolate: bool = True
    since: float = 0.0

    def encode(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, line: str) -> Job:
        """Return the job that `encode` wrote."""
        plain = json.loads(line)
        target = plain.pop("target")
        target["arguments"] = tuple(target["arguments"])
        return cls(target=Target(**target), **plain)
