"""Trials as values: what was run, what it showed, and what it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from evengrad.core.finding import Diagnosis
from evengrad.core.plan import Plan

_NO_CHANGE = Plan()


class Role(Enum):
    """What an arm is there for."""

    CONTROL = "control"  # nothing changed
    RANDOM = "random"  # a remedy drawn at random, as a control
    CANDIDATE = "candidate"  # prescribed from the diagnosis


class Outcome(Enum):
    """What the paired runs say of an arm against doing nothing."""

    BETTER = "better"
    MENDED = "mended"  # a plain mistake is gone, and the loss shows no harm; it need not be lower
    WORSE = "worse"
    NO_EVIDENCE = "no-evidence"
    BROKEN = "broken"  # ended with an error, or ran out of time
    DROPPED = "dropped"  # cut short: its first steps gave no hope, or another arm had won


class Symptom(Enum):
    """What has become of the fault that an arm was to remove."""

    GONE = "gone"
    WEAKER = "weaker"
    THERE = "there"
    UNKNOWN = "unknown"  # nothing was measured


@dataclass(frozen=True)
class Curve:
    """The loss of one run at each optimizer step, and how the run ended.

    Attributes:
        seed: Which replicate; 0 keeps the script's own seeds.
        losses: One per optimizer step; nan where it was not seen.
        ended: Whether the program came to its own end.
        error: What ended it early; "" when nothing did.
        finals: Figures that the program printed as ``FINAL name=value``.
    """

    seed: int
    losses: tuple[float, ...]
    ended: bool = False
    error: str = ""
    finals: tuple[tuple[str, float], ...] = ()

    @property
    def steps(self) -> int:
        """How many optimizer steps were made."""
        return len(self.losses)


@dataclass(frozen=True)
class Effect:
    """A paired difference to doing nothing, with its confidence interval; below 0 is better.

    Attributes:
        estimate: Mean difference over the seeds; infinite when only one side stayed finite.
        low: Lower end of the interval.
        high: Upper end.
        seeds: How many pairs it rests on.
        confidence: Of the interval, 0 to 1.
        scale: ``"log"``: of the natural logarithm of the late loss; ``"plain"``: of the loss itself, which was not
            positive throughout.
        quantity: What was compared, ``"loss"``, ``"relative loss"`` or the name of a printed figure.
    """

    estimate: float
    low: float
    high: float
    seeds: int
    confidence: float
    scale: str = "log"
    quantity: str = "loss"

    @property
    def ratio(self) -> float:
        """The factor by which the quantity changed, on the logarithmic scale; nan on the plain one."""
        if self.scale != "log" or math.isnan(self.estimate):
            return math.nan
        return math.exp(self.estimate) if self.estimate < _LARGEST_LOG else math.inf


_LARGEST_LOG = 700.0  # beyond it, exp overflows a double


@dataclass(frozen=True)
class ArmResult:
    """One arm: a plan, or none, on one or more seeds.

    Attributes:
        name: What reports call it.
        role: What it is there for.
        plan: What was changed; empty for doing nothing.
        outcome: What it showed; None for doing nothing.
        symptom: What has become of the findings.
        effect: The paired difference; None when too few pairs were run.
        curves: One per seed that was run.
        left: Rules that still find something, worst first.
        note: A key that says why it ended as it did; "" when that needs none.
        endured: Optimizer steps that the run on the program's own seed was let go on for; 0: as many as the others.
    """

    name: str
    role: Role
    plan: Plan = _NO_CHANGE
    outcome: Outcome | None = None
    symptom: Symptom = Symptom.UNKNOWN
    effect: Effect | None = None
    curves: tuple[Curve, ...] = ()
    left: tuple[str, ...] = ()
    note: str = ""
    endured: int = 0


@dataclass(frozen=True)
class TrialResult:
    """What ``evengrad.trial`` found.

    Attributes:
        arms: Doing nothing first, then the plans in the order in which they were given.
    """

    arms: tuple[ArmResult, ...]

    @property
    def best(self) -> ArmResult | None:
        """The smallest change that is proven better, or None; of equally small ones that with the lowest effect."""
        proven = [arm for arm in self.arms if arm.outcome is Outcome.BETTER and arm.effect is not None]
        return min(proven, key=lambda arm: (arm.plan.risk, arm.effect.estimate if arm.effect else 0.0), default=None)


@dataclass(frozen=True)
class Instruction:
    """A plan that could not be written into the source safely, and what a person can do instead."""

    plan: Plan
    text: str


@dataclass(frozen=True)
class Cost:
    """What a fix cost, in seconds of wall time and in optimizer steps; runs taken from an earlier call cost nothing."""

    seconds: float = 0.0
    diagnosis_seconds: float = 0.0
    trial_seconds: float = 0.0
    verify_seconds: float = 0.0
    diagnosis_steps: int = 0
    trial_steps: int = 0
    runs: int = 0
    resumed: int = 0


class Ending(Enum):
    """How a fix ended."""

    HEALTHY = "healthy"  # nothing to fix
    PROVEN = "proven"  # a change that is better, and whose plain run agrees with it to the bit
    UNVERIFIED = "unverified"  # better, but its plain run did not agree
    NO_EVIDENCE = "no-evidence"  # nothing that was tried is proven better
    NO_CANDIDATE = "no-candidate"  # no remedy could be written into the source
    UNKNOWN = "unknown"  # no optimizer step was seen


@dataclass(frozen=True, eq=False)
class Fix:
    """The result of ``evengrad fix``.

    Attributes:
        ending: How it ended.
        diagnosis: What was wrong.
        arms: Everything that was tried, controls first, then in order of risk.
        chosen: The plan that is recommended; empty when none is.
        verified: Whether the patched source, run plain, gave the losses of the arm that won, to the bit.
        diff: The recommended change as a unified diff; "" when there is none.
        patched: Path of the patched copy of the script; "" when there is none.
        instructions: What could not be written into the source.
        horizon: Optimizer steps that the arms were given.
        cost: What it cost.
        files: Paths of the files that the change touches.
        after: Rules that still find something in the recommended run.
        problem: Why there was nothing to go by, when the diagnosing run failed.
    """

    ending: Ending
    diagnosis: Diagnosis
    arms: tuple[ArmResult, ...] = ()
    chosen: Plan = _NO_CHANGE
    verified: bool = False
    diff: str = ""
    patched: str = ""
    instructions: tuple[Instruction, ...] = ()
    horizon: int = 0
    cost: Cost = Cost()
    files: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    problem: str = ""

    @property
    def winner(self) -> ArmResult | None:
        """The arm that is recommended, or None."""
        if not self.chosen.changes:
            return None
        return next((arm for arm in self.arms if arm.plan == self.chosen), None)
