"""What every case is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from evengrad.core.finding import CauseKind, Finding, Severity

Run = Callable[[int], float]


@dataclass(frozen=True)
class Case:
    """A training program whose state of health is known.

    Attributes:
        description: One sentence: what the program is, and what is wrong with it or why it looks so.
        run: Trains from a seed and returns the final loss (or another figure of merit; lower is better). The same seed
            gives the same numbers.
        threshold: The final loss that counts as trained. A healthy case and the twin of a sick one reach it on every
            seed, a sick case on none.
        architecture: What is trained, in the field's words.
        optimizer: What trains it.
        fault: Id of the rule that names the fault; None for a healthy case.
        twin: The same program without the fault.
        equivalents: Further rules whose finding names the same fault in other words.
        causes: Causes any one of which is right.
        modules: Modules any one of which, or of whose children, is the right place; empty: the fault has no one place.
        parameters: The same for parameters.
        first_step: First and last optimizer step at which the fault may be said to begin, both included.
        repairs: The smallest repairs known, any one of which takes a sick case to its threshold: ids of remedies, those
            of a pair joined by `` + ``. Empty: none is known that a remedy could make (the data are at fault, or the
            task is out of reach).
    """

    description: str
    run: Run
    threshold: float
    architecture: str
    optimizer: str
    fault: str | None = None
    twin: Run | None = None
    equivalents: frozenset[str] = frozenset()
    causes: frozenset[CauseKind] = frozenset()
    modules: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    first_step: tuple[int, int] = (0, 0)
    repairs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check that a sick case says what is wrong and has a twin, and a healthy one claims no fault."""
        told = (self.twin, self.causes, self.equivalents, self.modules, self.parameters, self.repairs)
        if self.fault is None and any(told):
            raise ValueError(f"a healthy case names neither cause, place, twin nor repair: {self.description}")
        if self.fault is not None and (self.twin is None or not self.causes):
            raise ValueError(f"a sick case needs a twin and at least one cause: {self.description}")

    def trained(self, loss: float) -> bool:
        """Tell whether a final loss counts as trained."""
        return math.isfinite(loss) and loss <= self.threshold

    def names_fault(self, finding: Finding) -> bool:
        """Tell whether a finding is an alarm of the case's rule, or of an equivalent one."""
        return finding.severity is not Severity.INFO and (
            finding.rule == self.fault or finding.rule in self.equivalents
        )

    def accepts_place(self, finding: Finding) -> bool:
        """Tell whether a finding points at one of the right places."""
        if not self.modules and not self.parameters:
            return True
        return any(_inside(place, found) for found in finding.modules for place in self.modules) or any(
            _inside(place, found) for found in finding.parameters for place in (*self.parameters, *self.modules)
        )

    def accepts_step(self, finding: Finding) -> bool:
        """Tell whether a finding begins within the window."""
        return self.first_step[0] <= finding.first_step <= self.first_step[1]

    def accepts_cause(self, finding: Finding) -> bool:
        """Tell whether a finding gives a right cause."""
        return finding.cause is not None and finding.cause.kind in self.causes


def _inside(place: str, found: str) -> bool:
    """Tell whether a name is a place, or a child or an operation of it."""
    return found == place or found.startswith((f"{place}.", f"{place}:"))
