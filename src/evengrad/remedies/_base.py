"""What every remedy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Risk, Setting
from evengrad.core.trace import Trace

Fault = tuple[str, CauseKind | None]
Settings = Mapping[str, Setting]


@dataclass(frozen=True)
class AbstractRemedy(ABC):
    """A change that may repair a fault. Fields are thresholds and settings, each with unit and source in the docstring.

    A remedy's module names its instance ``REMEDY``. The docstring has the sections *What it changes*, *Why it helps*,
    *When not to*, *Settings* (where it has fields) and *Source*; ``evengrad explain`` prints it. It proposes nothing
    for a cause that it does not treat: a remedy that fits the symptom and not the cause costs a training run.

    Attributes:
        act: What is done.
        risk: How far it reaches.
        cures: Faults (rule and cause) whose cause it takes away; tried first.
        eases: Faults that it may repair as well, by another way; tried when the cures are spent.
        place: Order among remedies of the same risk; low is first.
        messages: English sentence templates by key; every reason given is one of them filled with strings.
    """

    act: ClassVar[Act]
    risk: ClassVar[Risk]
    cures: ClassVar[frozenset[Fault]]
    eases: ClassVar[frozenset[Fault]] = frozenset()
    place: ClassVar[int] = 50
    messages: ClassVar[Mapping[str, str]]

    @property
    def id(self) -> str:
        """The remedy's id: its file name with dashes."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    @property
    def treats(self) -> frozenset[Fault]:
        """Every fault that it may repair."""
        return self.cures | self.eases

    def propose(self, finding: Finding, trace: Trace) -> tuple[Change, ...]:
        """Return what it would change because of a finding, most likely first; empty when it does not apply here."""
        return self.changes(trace, finding) if fault(finding) in self.treats else ()

    @abstractmethod
    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return what it would change in a run, one or two candidates.

        Args:
            trace: The run.
            finding: What it is to repair; None: nothing is known of the cause (random trials, for comparison).
        """

    @abstractmethod
    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason for one of its changes, with the numbers that follow from it.

        Args:
            change: What it proposed.
            trace: The run.
            finding: What it was proposed for; None: nothing is known of the cause.
        """

    def change(
        self,
        modules: tuple[str, ...] = (),
        parameters: tuple[str, ...] = (),
        lines: tuple[SourceLine, ...] = (),
        **settings: Setting,
    ) -> Change:
        """Return a change of this remedy's kind."""
        return Change(self.id, self.act, self.risk, tuple(settings.items()), modules, parameters, lines)

    def say(self, key: str, **values: str) -> Advice:
        """Return a filled template as advice."""
        text = self.messages[key].format(**values)
        return Advice(self.id, text, f"remedy-{self.id}.{key}", tuple(values.items()))


def fault(finding: Finding) -> Fault:
    """Return a finding's rule and the kind of its cause."""
    return finding.rule, finding.cause.kind if finding.cause is not None else None


def faults(rules: str, *causes: CauseKind | None) -> frozenset[Fault]:
    """Return every pair of the named rules (ids, separated by spaces) and causes."""
    return frozenset((rule, cause) for rule in rules.split() for cause in causes)
