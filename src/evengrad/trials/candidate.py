"""Candidates: a plan, the source it was written into, and what its runs have shown so far."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from evengrad.core.finding import Diagnosis, Severity
from evengrad.core.plan import Plan, Risk
from evengrad.core.trace import Trace
from evengrad.core.trial import ArmResult, Curve, Effect, Instruction, Outcome, Role, Symptom
from evengrad.errors import PatchError
from evengrad.patches._facts import facts_of
from evengrad.patches._patch import patch_plan
from evengrad.patches._tree import SourceTree
from evengrad.trials.score import Score
from evengrad.trials.symptom import faults_of

logger = logging.getLogger(__name__)

HARM: Final = 0.1  # of the natural logarithm of the late loss by which mending a mistake may raise it; own choice
# A loss that is lower by less than this shows nothing: paired runs of equal programs differ by as much. Own choice.
_LEAST_GAIN: Final = 0.02  # of the natural logarithm of the late loss


@dataclass
class Candidate:
    """A plan on its way through the trials."""

    plan: Plan
    tree: SourceTree
    texts: Mapping[str, str]
    role: Role = Role.CANDIDATE
    curves: dict[int, Curve] = field(default_factory=dict)
    trace: Trace | None = None  # of seed 0
    diagnosis: Diagnosis | None = None
    symptom: Symptom = Symptom.UNKNOWN
    gain: float = 0.0  # of the logarithm of the late loss of seed 0, over doing nothing; more is better
    outcome: Outcome = Outcome.NO_EVIDENCE
    effect: Effect | None = None
    note: str = ""
    endured: int = 0

    @property
    def name(self) -> str:
        """Its remedies."""
        return " + ".join(self.plan.remedies)

    @property
    def promising(self) -> bool:
        """Whether on seed 0 its fault is weaker or gone, and the loss lower; or it mends a mistake at no cost."""
        if self.mends and self.gain > -HARM:
            return True
        return self.symptom in (Symptom.GONE, Symptom.WEAKER) and self.gain > _LEAST_GAIN

    @property
    def only_loop(self) -> bool:
        """Whether all that it changes is a plain mistake in the loop."""
        return bool(self.plan.changes) and all(change.risk is Risk.LOOP for change in self.plan.changes)

    @property
    def mends(self) -> bool:
        """Whether all it does is to put right a plain mistake in the loop, which is gone."""
        return self.only_loop and self.symptom is Symptom.GONE

    @property
    def broken(self) -> bool:
        """Whether a run of it ended with an error."""
        return any(curve.error for curve in self.curves.values())

    @property
    def left(self) -> tuple[str, ...]:
        """Rules that still find a fault on seed 0, worst first."""
        return tuple(faults_of(self.diagnosis)) if self.diagnosis is not None else ()

    @property
    def errors_left(self) -> bool:
        """Whether one of them says that the run is failing."""
        return self.diagnosis is not None and Severity.ERROR in faults_of(self.diagnosis).values()

    def result(self) -> ArmResult:
        """Return it as a value."""
        return ArmResult(
            self.name,
            self.role,
            self.plan,
            self.outcome,
            self.symptom,
            self.effect,
            tuple(curve for _, curve in sorted(self.curves.items())),
            self.left,
            self.note,
            self.endured,
        )


def write_candidates(
    plans: Iterable[Plan], parent: Candidate, trace: Trace, seen: set[str], role: Role = Role.CANDIDATE
) -> tuple[list[Candidate], list[Instruction]]:
    """Write plans into the source of a candidate.

    Args:
        plans: What to add to the parent's plan.
        parent: Whose source is changed further.
        trace: Of a run of that source: what names and lines in the plans refer to.
        seen: Texts that need not be tried again; those written are added.
        role: What the new candidates are there for.

    Returns:
        Candidates with new texts, and instructions for plans that cannot be written safely.
    """
    facts = facts_of(trace)
    written: list[Candidate] = []
    instructions: list[Instruction] = []
    for plan in plans:
        whole = parent.plan.plus(plan)
        try:
            tree = patch_plan(parent.tree, plan, facts)
        except PatchError as error:
            instructions.append(Instruction(whole, str(error)))
            continue
        except Exception as error:  # a fault of ours costs one candidate
            logger.debug("a patch failed", exc_info=True)
            logger.warning("%s was not tried: %s in writing it into the source", plan, type(error).__name__)
            continue
        texts = changed(parent.texts, parent.tree, tree)
        key = repr(sorted(texts.items()))
        if texts and key not in seen:
            seen.add(key)
            written.append(Candidate(whole, tree, texts, role))
    return written, instructions


def changed(before: Mapping[str, str], old: SourceTree, new: SourceTree) -> dict[str, str]:
    """Return the texts that differ from the files, ``before`` being those that did already in ``old``."""
    return {**before, **{path: new[path] for path in new if path not in old.files or old[path] != new[path]}}


def gain(arm: Score, control: Score) -> float:
    """Return by how much the logarithm of an arm's late loss is below the control's; infinite for finite against not.

    Losses that are not positive are compared by their difference over the control's size.
    """
    a, c = arm.value, control.value
    if not math.isfinite(a) or not math.isfinite(c):
        return math.inf if math.isfinite(a) else (-math.inf if math.isfinite(c) else 0.0)
    if a > 0 and c > 0:
        return math.log(c / a)
    return (c - a) / abs(c) if c else 0.0


def pick(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the smallest change among those that work; of equally small ones the first that is about as good as any.

    A change counts as working if its fault is gone (or, where that holds for none, weaker) and it wins at least
    ``_SHARE`` of what the best of them wins: a learning rate that takes 5 % off the loss is no repair where another
    change takes 95 %. A mistake in the loop is mended whatever the loss does: clipping at the wrong place costs nothing
    until the first spike.
    """
    promising = [c for c in candidates if c.promising]
    gone = [c for c in promising if c.symptom is Symptom.GONE]
    pool = gone or promising
    if not pool:
        return None
    best = max(c.gain for c in pool)
    working = [c for c in pool if c.mends or c.gain >= _SHARE * best or best == math.inf == c.gain]
    smallest = min(c.plan.risk for c in working)
    equal = [c for c in working if c.plan.risk == smallest]
    top = max(e.gain for e in equal)
    return next(c for c in equal if c.gain >= min(top - _CLEARLY, _ENOUGH * top) or c.gain == top)


_SHARE: Final = 0.3  # of the best gain, below which a change is a half measure; own choice
_ENOUGH: Final = 0.8  # of the gain of an equal change that makes the simpler one do; own choice
_CLEARLY: Final = (
    0.5  # of the logarithm of the loss (a factor of 1.6) by which one of two equal changes wins; own choice
)
