"""Changes as values: what a remedy proposes, what a patch writes into source, what a treatment carries out."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import Enum

from evengrad.core.info import SourceLine

Setting = str | float | bool


class Risk(Enum):
    """How far a change reaches into what the user designed; smaller is tried first."""

    LOOP = "loop"  # repairs a plain mistake in the order of calls
    OPTIMIZER = "optimizer"  # a number of the optimizer, or clipping
    DATA = "data"  # units of what comes in, or of what is predicted
    INITIALISATION = "initialisation"
    ACTIVATION = "activation"
    ARCHITECTURE = "architecture"

    @property
    def rank(self) -> int:
        """0 for the least risk."""
        return list(Risk).index(self)


class Act(Enum):
    """The closed list of things that can be done to a training program; the settings of each are in brackets."""

    INITIALISE = "initialise"  # [method, gain?]: draw the weights of ``modules`` anew (all: none named)
    ACTIVATE = "activate"  # [to, slope?]: another function at the activation sites ``modules``; "identity" removes it
    CLIP = "clip"  # [kind: norm | value | adaptive, threshold]
    OPTIMIZE = "optimize"  # [lr?, weight_decay?, eps?, …, optimizer?]: arguments of the optimizer, or its class
    WARM_UP = "warm-up"  # [steps]: raise the learning rate linearly from zero
    PENALISE = "penalise"  # [coefficient]: add coefficient / 2 * sum of squares to the loss
    NORMALISE = "normalise"  # [kind: layer | batch]: normalise the outputs of the layers ``modules``
    SKIP = "skip"  # []: add the input of each block to its output
    SCALE = "scale"  # [what: input | target, mean, std]: move data into units of order one
    GUARD = "guard"  # [operation, eps]: keep the operation at ``lines`` off the edge of its domain
    PRECISION = "precision"  # [dtype]: compute in another number format
    REORDER = "reorder"  # [fault]: put the calls of the loop in order
    RECONNECT = "reconnect"  # [fault]: let a gradient, or the optimizer, reach ``modules``


@dataclass(frozen=True)
class Change:
    """One thing to be changed.

    Attributes:
        remedy: Id of the remedy that proposes it.
        act: What is done.
        risk: How far it reaches.
        settings: Its numbers and words, by name, in a fixed order.
        modules: Names of modules or activation sites that it touches; empty: wherever the act applies.
        parameters: Names of parameters that it touches.
        lines: Lines of the user's source that it concerns, as far as the trace knows them.
    """

    remedy: str
    act: Act
    risk: Risk
    settings: tuple[tuple[str, Setting], ...] = ()
    modules: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    lines: tuple[SourceLine, ...] = ()

    def number(self, name: str, default: float = math.nan) -> float:
        """Return a setting as a number; ``default`` when there is none of that name."""
        value = dict(self.settings).get(name, default)
        return float(value) if not isinstance(value, str) else default

    def word(self, name: str, default: str = "") -> str:
        """Return a setting as a word; ``default`` when there is none of that name."""
        value = dict(self.settings).get(name, default)
        return value if isinstance(value, str) else default

    def __str__(self) -> str:
        numbers = ", ".join(f"{name}={_shown(value)}" for name, value in self.settings)
        return f"{self.remedy}({numbers})" if numbers else self.remedy


@dataclass(frozen=True)
class Plan:
    """Changes carried out together, in order. The empty plan changes nothing."""

    changes: tuple[Change, ...] = ()

    @property
    def remedies(self) -> tuple[str, ...]:
        """Ids of its remedies, each once, in order."""
        return tuple(dict.fromkeys(change.remedy for change in self.changes))

    @property
    def risk(self) -> tuple[int, int]:
        """Order among plans: rank of the worst change, then the number of changes; (-1, 0) if it changes nothing."""
        return max((change.risk.rank for change in self.changes), default=-1), len(self.changes)

    @property
    def key(self) -> str:
        """A short name that two equal plans share, in any process and on any machine."""
        return hashlib.sha256(repr(self.changes).encode()).hexdigest()[:12]

    def plus(self, other: Plan) -> Plan:
        """Return both, the changes of ``other`` last; what both hold is done once."""
        return Plan(tuple(dict.fromkeys(self.changes + other.changes)))

    def without(self, change: Change) -> Plan:
        """Return the plan less one change."""
        return Plan(tuple(kept for kept in self.changes if kept != change))

    def __str__(self) -> str:
        return " + ".join(map(str, self.changes)) or "nothing"


def _shown(value: Setting) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
