"""A report as data: what every renderer draws. Strings are in the reader's language, cleaned, and not yet escaped."""

from __future__ import annotations

from dataclasses import dataclass

from evengrad.core.finding import Diagnosis, Severity, Verdict


@dataclass(frozen=True)
class Place:
    """A line of the user's source; ``text`` may be empty."""

    where: str  # "train.py:12"
    text: str = ""


@dataclass(frozen=True)
class EvidenceRow:
    """A measured quantity beside its threshold, as strings."""

    quantity: str
    subject: str
    measured: str
    threshold: str
    unit: str


@dataclass(frozen=True)
class Remedy:
    """A remedy by id, and why."""

    id: str
    why: str


@dataclass(frozen=True)
class Consequence:
    """A finding that is folded under its cause."""

    rule: str
    title: str
    message: str


@dataclass(frozen=True)
class FindingBlock:
    """One finding, ready to be drawn."""

    rule: str
    title: str
    about: str
    severity: Severity
    severity_label: str
    message: str
    when: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    places: tuple[Place, ...]
    cause: str  # "" where the rule names none
    cause_share: str
    explanation: str
    first: str  # what to do first
    remedies: tuple[Remedy, ...]
    consequences: tuple[Consequence, ...]
    evidence: tuple[EvidenceRow, ...]
    explain: str  # the command that prints the rule's page


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: ``fraction`` of the axis (0 to 1), None where the value is not on it (0, inf, nan)."""

    label: str
    text: str
    fraction: float | None
    guilty: bool = False
    omitted_before: int = 0  # rows left out between the previous row and this one


@dataclass(frozen=True)
class Bars:
    """The gradient by layer (or by time step) on a log axis, nearest to the input first."""

    title: str
    axis: str  # "1e-9 … 1e-2"
    rows: tuple[Bar, ...]


@dataclass(frozen=True)
class LedgerRow:
    """What one operation, or a group of them, did to the gradient."""

    label: str
    operation: str
    decades: float
    text: str
    where: str = ""


@dataclass(frozen=True)
class LedgerTable:
    """The ledger of one path: the sentence, its sums by kind, and its worst operations."""

    title: str
    sentence: str
    kinds: tuple[LedgerRow, ...]
    worst: tuple[LedgerRow, ...]
    rest: LedgerRow | None


@dataclass(frozen=True)
class Table:
    """A plain table; the first column of a row is its header."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Document:
    """A report as data."""

    lang: str
    verdict: Verdict
    verdict_label: str
    headline: str  # one sentence: the verdict, with counts
    run: str  # "300 steps of train.py"
    depth: str  # the gradient across depth, in a sentence; "" where it was not measured
    loss: str  # where the loss went; "" where it was not seen
    findings: tuple[FindingBlock, ...]
    steep: bool  # the gradient across depth is worth its ledger: a finding rests on it, or it changes by a decade
    bars: Bars | None
    ledger: LedgerTable | None
    next_step: str
    overhead: str
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    diagnosis: Diagnosis  # what the charts are drawn from
    html_path: str = ""

    @property
    def summary(self) -> tuple[str, ...]:
        """What is worth knowing of any run."""
        return tuple(sentence for sentence in (self.depth, self.loss) if sentence)
