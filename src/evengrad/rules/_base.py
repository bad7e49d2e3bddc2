"""What every rule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Cause, CauseKind, Finding
from evengrad.core.trace import Trace

Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class AbstractRule(ABC):
    """A symptom that a trace may show. Fields are thresholds, each with unit and source in the docstring.

    A rule's module names its instance ``RULE``. The docstring has the sections *What it measures*, *Why it hurts*,
    *When it misleads*, *Thresholds* and *Source*; ``evengrad explain`` prints it.

    Attributes:
        messages: English sentence templates by key; every text of a finding is one of them filled with strings.
    """

    messages: ClassVar[Mapping[str, str]]

    @property
    def id(self) -> str:
        """The rule's id: its file name with dashes."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    @abstractmethod
    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return what the trace shows of this symptom; empty when there is no evidence of it."""

    def say(self, key: str, **values: str) -> tuple[str, str, Values]:
        """Return ``(text, qualified key, values)`` of a template, for a finding's or a cause's text fields."""
        return self.messages[key].format(**values), f"{self.id}.{key}", tuple(values.items())

    def cause(self, kind: CauseKind, share: float, key: str, **values: str) -> Cause:
        """Return a cause whose explanation is a filled template."""
        text, qualified, pairs = self.say(key, **values)
        return Cause(kind=kind, share=share, explanation=text, key=qualified, values=pairs)
