"""Things that happen at a step, as opposed to quantities that are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from evengrad.core.info import SourceLine


class EventKind(Enum):
    """The closed list of events."""

    NON_FINITE = "non-finite"  # details: phase, quantity, operation, module, inputs, certainty, parameters
    NON_FINITE_LOSS = "non-finite-loss"
    NON_FINITE_GRADIENT = "non-finite-gradient"  # details: parameters (first few), total
    NON_FINITE_WEIGHT = "non-finite-weight"
    ZERO_GRAD_MISSING = "zero-grad-missing"
    ZERO_GRAD_BEFORE_STEP = "zero-grad-before-step"  # zeroed between backward and step
    CLIP_BEFORE_BACKWARD = "clip-before-backward"
    CLIP_AFTER_STEP = "clip-after-step"
    CLIP_BEFORE_UNSCALE = "clip-before-unscale"
    DOUBLE_STEP = "double-step"  # two steps of one optimizer on the same gradients
    STEP_WITHOUT_BACKWARD = "step-without-backward"
    FOREIGN_PARAMETERS = "foreign-parameters"  # gradients go to parameters that no optimizer holds, and vice versa
    SQUASHED_TWICE = "squashed-twice"  # details: operation, loss, module, site; the loss takes its output for logits
    STEP_SKIPPED = "step-skipped"  # by a GradScaler
    CLIPPED = "clipped"
    EARLY_WARNING = "early-warning"
    COMPILED = "compiled"
    FORKED = "forked"
    SELF_DISABLED = "self-disabled"  # details: where, error
    SCRIPT_ERROR = "script-error"  # details: error
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Event:
    """Something that happened, first at ``step``, ``count`` times in all, last at ``last_step``.

    ``details`` holds short strings only.
    """

    kind: EventKind
    step: int
    count: int = 1
    last_step: int = -1
    details: Mapping[str, str] = field(default_factory=dict)
    source: SourceLine | None = None
