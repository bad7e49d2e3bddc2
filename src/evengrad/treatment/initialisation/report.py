"""What an initialisation has done, parameter by parameter."""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What was done to a parameter."""

    DRAWN = "drawn"
    SET = "set"
    LEFT = "left"


@dataclass(frozen=True)
class Entry:
    """What was done to one parameter.

    Attributes:
        parameter: Its name.
        shape: Its shape.
        action: What was done.
        how: Distribution, or value, in words; "" for what was left.
        std: Standard deviation of an entry that was asked for; ``None`` if none was.
        gain: ``std`` in units of 1/sqrt(fan); ``None`` where there is no fan.
        fan: Inputs that one output sums over; ``None`` where it does not apply.
        why: Reason, in words.
    """

    parameter: str
    shape: tuple[int, ...]
    action: Action
    how: str = ""
    std: float | None = None
    gain: float | None = None
    fan: float | None = None
    why: str = ""


@dataclass(frozen=True)
class InitReport:
    """What an initialisation has done.

    Attributes:
        method: Name of the method.
        seen: Where the surroundings of the layers come from.
        entries: One per parameter, in the model's order.
        notes: What concerns the model as a whole.
    """

    method: str
    seen: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, parameter: str) -> Entry:
        """Return the entry of a parameter.

        Raises:
            KeyError: The model has no parameter of that name.
        """
        for entry in self.entries:
            if entry.parameter == parameter:
                return entry
        raise KeyError(parameter)

    def of(self, action: Action) -> tuple[Entry, ...]:
        """Return the entries with an action."""
        return tuple(entry for entry in self.entries if entry.action is action)

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("parameter", "shape", "done", "gain", "std", "fan", "why"):
            table.add_column(heading, justify="right" if heading in ("gain", "std", "fan") else "left", no_wrap=False)
        for entry in self.entries:
            numbers = (_shown(entry.gain), _shown(entry.std), _shown(entry.fan))
            done = entry.how or entry.action.value
            table.add_row(entry.parameter, "x".join(map(str, entry.shape)), done, *numbers, entry.why)
        out = io.StringIO()
        console = Console(file=out, width=140, color_system=None, markup=False, highlight=False)
        counts = ", ".join(f"{len(self.of(action))} {action.value}" for action in Action if self.of(action))
        console.print(f"{self.method}: {counts or 'no parameters'}; surroundings: {self.seen}")
        console.print(table)
        for note in self.notes:
            console.print(f"note: {note}")
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"
