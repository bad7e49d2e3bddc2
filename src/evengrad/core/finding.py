"""Findings: what a rule says of a trace, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from evengrad.core.info import SourceLine
from evengrad.core.trace import Trace


class Severity(Enum):
    """How bad: the run fails because of it; it will or wastes training; worth knowing, not a fault."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return {"info": 0, "warning": 1, "error": 2}[self.value]


class CauseKind(Enum):
    """The closed list of causes."""

    ACTIVATION_DERIVATIVE = "activation-derivative"
    WEIGHT_SCALE_SMALL = "weight-scale-small"
    WEIGHT_SCALE_LARGE = "weight-scale-large"
    DEPTH_WITHOUT_SKIP_OR_NORM = "depth-without-skip-or-norm"
    RECURRENT_JACOBIAN = "recurrent-jacobian"
    INPUT_SCALE = "input-scale"
    TARGET_SCALE = "target-scale"
    LEARNING_RATE_HIGH = "learning-rate-high"
    LEARNING_RATE_LOW = "learning-rate-low"
    LOSS_NUMERICS = "loss-numerics"
    PRECISION = "precision"
    DEAD_UNITS = "dead-units"
    LOOP_ORDER = "loop-order"
    DISCONNECTED = "disconnected"
    DATA = "data"
    OPTIMIZER_EPSILON = "optimizer-epsilon"
    WARMUP_MISSING = "warmup-missing"
    OUTPUT_ACTIVATION = "output-activation"


class Verdict(Enum):
    """The verdict on a run; unknown: no optimizer step was seen."""

    HEALTHY = "healthy"
    SICK = "sick"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evidence:
    """A measured quantity beside the threshold it was held against.

    ``quantity`` is an English phrase from the rule's own vocabulary; ``subject`` says where (a module, a parameter,
    or "").
    """

    quantity: str
    measured: float
    threshold: float | None
    unit: str = "1"
    subject: str = ""


@dataclass(frozen=True)
class Cause:
    """The measured cause of a finding; ``share`` is the part of the symptom that it accounts for, 0 to 1.

    ``key`` and ``values`` let a report say ``explanation`` in another language.
    """

    kind: CauseKind
    share: float
    explanation: str
    key: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Advice:
    """A remedy by id, and why; filled in by the remedies' layer, never by a rule.

    ``key`` and ``values`` let a report say ``why`` in another language.
    """

    remedy: str
    why: str
    key: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Finding:
    """One fault, in one place, with its evidence and cause.

    ``message`` is a complete English sentence for a person; ``message_key`` and ``values`` let a report say the same in
    another language (``values`` are strings ready to be shown).
    """

    rule: str
    severity: Severity
    message: str
    first_step: int = 0
    last_step: int = 0
    modules: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    source: tuple[SourceLine, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    cause: Cause | None = None
    message_key: str = ""
    values: tuple[tuple[str, str], ...] = ()
    consequences: tuple[Finding, ...] = ()  # findings folded under this one
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The findings on a run, worst first; consequences are folded under their causes."""

    verdict: Verdict
    trace: Trace
    findings: tuple[Finding, ...] = ()
    failed_rules: tuple[str, ...] = ()  # rules that raised; their verdict is missing, not negative

    @property
    def worst(self) -> Severity | None:
        """The highest severity among the findings, or None."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)
