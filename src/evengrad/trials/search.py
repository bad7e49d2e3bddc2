"""The search for the smallest change that works: screen on one seed, repair what is left, prune, prove on others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from evengrad.core.plan import Plan
from evengrad.core.trace import Trace
from evengrad.core.trial import ArmResult, Instruction, Outcome, Role, Symptom
from evengrad.diagnosis.diagnose import diagnose
from evengrad.patches._tree import SourceTree
from evengrad.trials.candidate import HARM, Candidate, gain, pick, write_candidates
from evengrad.trials.diagnosing import CONTROL, Sick
from evengrad.trials.runs import NO_TIME, Runs, Wanted
from evengrad.trials.score import compare, final_scores, late_loss, score
from evengrad.trials.settings import Prescriber, Settings
from evengrad.trials.store import Reached
from evengrad.trials.symptom import symptom

logger = logging.getLogger(__name__)

_PROOFS: Final = 3  # candidates that are taken as far as a proof
_COMBINED: Final = 3  # of the best single changes that are combined in pairs
_NOISE: Final = 0.1  # of the logarithm of the loss that a part of a change may win and still be dropped; own choice

Stage = Callable[[str], None]
"""Told what the search is about to do: ``screen``, ``extend``, ``repair``, ``combine``, ``prune``, ``prove``."""


class Search:
    """One search; `run` is called once.

    Args:
        runs: Runs programs.
        sick: What is wrong with the program as it is.
        tree: Its source.
        settings: Limits.
        prescribe: Suggests plans.
        stage: Is told of progress.
    """

    def __init__(
        self, runs: Runs, sick: Sick, tree: SourceTree, *, settings: Settings, prescribe: Prescriber, stage: Stage
    ) -> None:
        self._runs = runs
        self._sick = sick
        self._settings = settings
        self._prescribe = prescribe
        self._stage = stage
        self._horizon = sick.horizon
        self._seen: set[str] = set()
        self.control = Candidate(Plan(), tree, {}, Role.CONTROL, {0: sick.curve}, sick.diagnosis.trace, sick.diagnosis)
        self.tried: list[Candidate] = []
        self.instructions: list[Instruction] = []

    @property
    def horizon(self) -> int:
        """Optimizer steps that the arms were given."""
        return self.control.curves[0].steps if self._horizon is None else self._horizon

    def run(self, randoms: Sequence[Plan] = ()) -> Candidate | None:
        """Return the change to recommend, or None.

        Args:
            randoms: Plans drawn at random, tried at the same budget for comparison.
        """
        self._stage("screen")
        found = self._first_that_works(list(self._prescribe(self._sick.diagnosis)))
        for _ in range(self._settings.extensions):
            if found is None and self._extend():
                found = pick(self.tried)
        if found is None:
            found = self._combine()
        proven = self._prove_first(found) if found is not None else None
        if randoms:
            self._try_randoms(randoms)
        if self.tried and 1 not in self.control.curves:
            self.control.curves[1] = self._reach([(self.control, 1)])[0].curve
        return proven

    def results(self) -> tuple[ArmResult, ...]:
        """Return every arm: doing nothing, another seed, random changes, candidates in order of risk."""
        nothing = replace(self.control, curves={0: self.control.curves[0]}).result()
        arms = [replace(nothing, name=CONTROL, outcome=None)]
        others = tuple(curve for seed, curve in sorted(self.control.curves.items()) if seed > 0)
        if others:
            arms.append(ArmResult("another seed", Role.CONTROL, outcome=None, curves=others, symptom=self._reseeded()))
        order = sorted(self.tried, key=lambda c: (c.role is Role.CANDIDATE, c.plan.risk))
        return (*arms, *(candidate.result() for candidate in order))

    def _reseeded(self) -> Symptom:
        """Return what another seed alone does to the fault."""
        reached = self._reach([(self.control, 1)])[0]
        trace = reached.trace()
        return Symptom.UNKNOWN if trace is None else symptom(self._sick.diagnosis, diagnose(trace))

    # Screening

    def _first_that_works(self, plans: Sequence[Plan]) -> Candidate | None:
        """Screen batch after batch until one holds a change that works."""
        for batch in self._batches(plans):
            if self._runs.clock.over:
                return None
            self._screen(batch)
            found = pick(batch)
            exposed = [c for c in batch if c.symptom is Symptom.GONE and c.left and not c.promising]
            deepened = [self._deepen(c) for c in ([found] if found else exposed[:2])]
            found = pick([c for c in (found, *deepened) if c is not None])
            if found is not None:
                return max(deepened, key=lambda c: c.gain) if found.errors_left and deepened else found
        return None

    def _batches(self, plans: Sequence[Plan]) -> Iterator[list[Candidate]]:
        """Yield plans written into the source, some at a time: later ones are not written before they are needed."""
        batch: list[Candidate] = []
        for plan in plans:
            written, failed = write_candidates([plan], self.control, self._sick.diagnosis.trace, self._seen)
            self.instructions += failed
            batch += written
            if len(batch) == self._settings.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _screen(self, batch: Sequence[Candidate]) -> None:
        """Run candidates on seed 0; those without hope after the first part of the way go no further."""
        self.tried += batch
        rung = int(self._settings.rung * self.horizon)
        if len(batch) > 1 and rung >= self._settings.least_rung:
            wanted = [self._wanted(candidate, 0, rung) for candidate in batch]
            early = self._runs.reach(wanted)
            for candidate, reached in zip(batch, early, strict=True):
                candidate.curves[0] = reached.curve
            traces = {id(c): reached.trace() for c, reached in zip(batch, early, strict=True)}
            for candidate in self._hopeless(batch, rung):
                trace = traces[id(candidate)]
                if not candidate.broken and trace is not None and self._freed(trace):
                    continue  # a cure may pay late
                candidate.outcome, candidate.note = Outcome.DROPPED, "cut-early"
                self._runs.drop(self._wanted(candidate, 0))
        going = [candidate for candidate in batch if candidate.outcome is not Outcome.DROPPED]
        for candidate, reached in zip(going, self._reach([(c, 0) for c in going]), strict=True):
            self._assess(candidate, reached)

    def _freed(self, trace: Trace) -> bool:
        """Return whether a run shows nothing of the fault so far."""
        return symptom(self._sick.diagnosis, diagnose(trace)) is Symptom.GONE

    def _hopeless(self, batch: Sequence[Candidate], rung: int) -> list[Candidate]:
        """Return those of the worse half whose loss is no lower than the control's was, and those that ended badly."""
        control = late_loss(self.control.curves[0].losses[:rung])
        losses = {id(c): late_loss(c.curves[0].losses) for c in batch}
        ranked = sorted(batch, key=lambda c: losses[id(c)])
        worse = ranked[(len(ranked) + 1) // 2 :]
        return [c for c in worse if (not losses[id(c)] < control and not c.only_loop) or c.broken]

    def _assess(self, candidate: Candidate, reached: Reached) -> None:
        """Note what a candidate's run on seed 0 showed."""
        candidate.curves[0] = reached.curve
        candidate.trace = reached.trace()
        if reached.curve.error:
            candidate.outcome, candidate.note = Outcome.BROKEN, "broken"
        if candidate.trace is None:
            return
        candidate.diagnosis = diagnose(candidate.trace)
        candidate.symptom = symptom(self._sick.diagnosis, candidate.diagnosis)
        own = score(candidate.curves[0], candidate.trace, candidate.plan)
        candidate.gain = gain(own, score(self.control.curves[0], self.control.trace, candidate.plan))
        if not candidate.promising and not reached.curve.error:
            there = candidate.symptom in (Symptom.THERE, Symptom.UNKNOWN)
            candidate.note = "symptom-there" if there else "no-gain"
            if candidate.curves[0].losses == self.control.curves[0].losses[: candidate.curves[0].steps]:
                candidate.note = "no-effect"
            self._runs.drop(self._wanted(candidate, 0))

    def _extend(self) -> bool:
        """Give the best candidates twice as long; return whether that was possible."""
        best = [c for c in self.tried if c.symptom is Symptom.GONE and c.outcome is Outcome.NO_EVIDENCE]
        if not best or self._horizon is None or self._runs.clock.over:
            return False
        if self._settings.steps is not None and 2 * self._horizon > self._settings.steps:
            return False
        self._stage("extend")
        self._horizon *= 2
        best = sorted(best, key=lambda c: -c.gain)[: self._settings.batch]
        control, *reached = self._reach([(self.control, 0), *((c, 0) for c in best)])
        trace = control.trace()
        if trace is None:
            return False
        self.control.curves[0], self.control.trace = control.curve, trace
        for candidate, item in zip(best, reached, strict=True):
            candidate.note = ""
            self._assess(candidate, item)
        return True

    # Repairs on top of each other

    def _deepen(self, candidate: Candidate) -> Candidate:
        """Diagnose again after each repair, and repair what it exposed, until nothing is left that ends training."""
        current = candidate
        for _ in range(self._settings.depth - 1):
            if self._runs.clock.over or current.diagnosis is None or current.trace is None:
                break
            if not current.errors_left and current.promising:
                break
            self._stage("repair")
            plans = list(self._prescribe(current.diagnosis))[: self._settings.batch]
            further, _ = write_candidates(plans, current, current.trace, self._seen)
            if not further:
                break
            self._screen(further)
            best = pick([c for c in further if c.gain > current.gain + _NOISE or len(c.left) < len(current.left)])
            if best is None:
                break
            current = best
        return current

    def _combine(self) -> Candidate | None:
        """Try the best single changes in pairs, when none of them was enough."""
        singles = [c for c in self.tried if c.trace is not None and not c.broken and len(c.plan.changes) == 1]
        best = sorted(singles, key=lambda c: (c.symptom is not Symptom.GONE, -c.gain))[:_COMBINED]
        plans = [a.plan.plus(b.plan) for i, a in enumerate(best) for b in best[i + 1 :] if _differ(a, b)]
        if not plans or self._runs.clock.over:
            return None
        self._stage("combine")
        pairs, _ = write_candidates(plans, self.control, self._sick.diagnosis.trace, self._seen)
        self._screen(pairs)
        return pick(pairs)

    def _prune(self, candidate: Candidate) -> Candidate:
        """Drop every part of a change without which it is as good."""
        current = candidate
        for change in candidate.plan.changes:
            smaller = current.plan.without(change)
            if not smaller.changes or self._runs.clock.over:
                continue
            self._stage("prune")
            known = next((c for c in self.tried if c.plan == smaller), None)
            if known is None:
                written, _ = write_candidates([smaller], self.control, self._sick.diagnosis.trace, self._seen)
                if not written:
                    continue
                known = written[0]
                self._screen([known])
            as_good = known.promising and known.gain >= current.gain - _NOISE
            if as_good and known.symptom is current.symptom and len(known.left) <= len(current.left):
                current = known
        return current

    # Proof

    def _prove_first(self, found: Candidate) -> Candidate | None:
        """Return the first change that fresh seeds prove better: the one found, then others that looked good."""
        self._stage("prove")
        queue, proofs = [self._prune(found)], 0
        while queue and proofs < _PROOFS:
            candidate = queue.pop(0)
            proofs += 1
            if self._prove(candidate):
                for other in self.tried:
                    if other is not candidate and other.promising and other.effect is None:
                        other.outcome, other.note = Outcome.DROPPED, "not-needed"
                return candidate
            rest = [c for c in self.tried if c.effect is None and c.outcome is Outcome.NO_EVIDENCE]
            following = pick(rest)
            queue = [] if following is None or self._runs.clock.over else [following]
        return None

    def _prove(self, candidate: Candidate) -> bool:
        """Return whether a candidate beats the control on fresh seeds; that which chose it takes no part in the proof.

        Meanwhile that seed's run goes on for several times as many steps: what helps at first may fail later.
        """
        first = self._settings.seeds
        long = self._long_run(candidate)
        for last in (first, first + self._settings.more_seeds):
            asked = [(arm, seed) for seed in range(1, last + 1) for arm in (self.control, candidate)]
            later, *reached = self._runs.reach([long, *(self._wanted(arm, seed) for arm, seed in asked)])
            if any(item.curve.error == NO_TIME for item in reached):
                candidate.note = "no-time"
                return False
            for (arm, seed), item in zip(asked, reached, strict=True):
                arm.curves[seed] = item.curve
            self._judge(candidate, reached[1::2], reached[0::2])
            if candidate.outcome is not Outcome.NO_EVIDENCE:
                break
        candidate.endured = later.curve.steps
        if candidate.outcome in (Outcome.BETTER, Outcome.MENDED) and not self._endures(candidate, later):
            candidate.outcome, candidate.note = Outcome.NO_EVIDENCE, "relapsed"
        return candidate.outcome in (Outcome.BETTER, Outcome.MENDED)

    def _long_run(self, candidate: Candidate) -> Wanted:
        """Return the run that a proven change has to endure."""
        if self._horizon is None:
            return self._wanted(candidate, 0)
        longest = self._settings.endurance * self._horizon
        return self._wanted(candidate, 0, min(longest, self._settings.steps or longest))

    def _endures(self, candidate: Candidate, later: Reached) -> bool:
        """Return whether a change is still better than nothing at the end of its long run, and its fault not back."""
        trace = later.trace()
        if later.curve.error:
            return later.curve.error == NO_TIME
        if trace is None:
            return True
        own = score(later.curve, trace, candidate.plan)
        kept = gain(own, score(self.control.curves[0], self.control.trace, candidate.plan))
        if kept <= 0 and not candidate.mends:
            return False
        return symptom(self._sick.diagnosis, diagnose(trace)) is not Symptom.THERE

    def _judge(self, candidate: Candidate, own: Sequence[Reached], control: Sequence[Reached]) -> None:
        printed = final_scores([r.curve for r in own], [r.curve for r in control])
        arms, controls = printed or (
            [score(r.curve, r.trace(), candidate.plan) for r in own],
            [score(r.curve, r.trace(), candidate.plan) for r in control],
        )
        candidate.outcome, candidate.effect = compare(arms, controls, self._settings.confidence)
        candidate.note = ""
        if candidate.outcome is Outcome.BETTER and candidate.symptom not in (Symptom.GONE, Symptom.WEAKER):
            candidate.outcome, candidate.note = Outcome.NO_EVIDENCE, "symptom-there"
        if candidate.outcome is Outcome.NO_EVIDENCE and candidate.mends and candidate.effect.estimate < HARM:
            candidate.outcome = Outcome.MENDED

    def _try_randoms(self, plans: Sequence[Plan]) -> None:
        """Give random changes what the candidates were given."""
        trace = self._sick.diagnosis.trace
        randoms, _ = write_candidates(plans, self.control, trace, self._seen, Role.RANDOM)
        self._stage("screen")
        self._screen(randoms)
        lucky = [c for c in randoms if c.promising]
        for candidate in lucky[:_PROOFS]:
            self._prove(candidate)

    # Runs

    def _wanted(self, candidate: Candidate, seed: int, steps: int | None = None) -> Wanted:
        name = candidate.name or CONTROL
        return Wanted(name, candidate.texts, seed, self._horizon if steps is None else steps)

    def _reach(self, asked: Sequence[tuple[Candidate, int]]) -> list[Reached]:
        return self._runs.reach([self._wanted(candidate, seed) for candidate, seed in asked])


def _differ(a: Candidate, b: Candidate) -> bool:
    """Return whether two single changes act on different things."""
    return a.plan.changes[0].act is not b.plan.changes[0].act
