"""Which change is picked."""

from __future__ import annotations

import math

import pytest

from evengrad.core.finding import Diagnosis, Finding, Severity, Verdict
from evengrad.core.plan import Act, Change, Plan, Risk
from evengrad.core.trace import Trace
from evengrad.core.trial import Symptom
from evengrad.errors import PatchError
from evengrad.patches._tree import SourceTree
from evengrad.trials.candidate import Candidate, gain, pick, write_candidates
from evengrad.trials.score import Score
from evengrad.trials.symptom import symptom


def candidate(name: str, risk: Risk, won: float, state: Symptom = Symptom.GONE) -> Candidate:
    plan = Plan((Change(name, Act.OPTIMIZE, risk),))
    return Candidate(plan, SourceTree(), {}, symptom=state, gain=won)


def test_the_smallest_change_that_works_is_picked() -> None:
    small = candidate("small", Risk.OPTIMIZER, 2.0)
    assert pick([candidate("large", Risk.ARCHITECTURE, 4.0), small]) is small


def test_a_half_measure_does_not_count_as_working() -> None:
    large = candidate("large", Risk.ACTIVATION, 3.0)
    assert pick([candidate("half", Risk.OPTIMIZER, 0.2), large]) is large


def test_a_fault_that_is_gone_counts_for_more_than_one_that_is_weaker() -> None:
    gone = candidate("gone", Risk.ACTIVATION, 2.0)
    assert pick([candidate("weaker", Risk.OPTIMIZER, 3.0, Symptom.WEAKER), gone]) is gone
    weaker = candidate("weaker", Risk.OPTIMIZER, 3.0, Symptom.WEAKER)
    assert pick([weaker, candidate("there", Risk.LOOP, 3.0, Symptom.THERE)]) is weaker


def test_of_equally_small_changes_the_first_wins_unless_another_is_clearly_better() -> None:
    first = candidate("first", Risk.OPTIMIZER, 2.0)
    assert pick([first, candidate("second", Risk.OPTIMIZER, 2.3)]) is first
    assert pick([first, candidate("as good", Risk.OPTIMIZER, 2.4)]) is first
    better = candidate("better", Risk.OPTIMIZER, 3.0)
    assert pick([first, better]) is better


def test_no_lower_loss_is_no_repair() -> None:
    assert pick([candidate("none", Risk.DATA, 0.0), candidate("worse", Risk.OPTIMIZER, -1.0)]) is None
    assert pick([]) is None


def test_a_mistake_in_the_loop_is_mended_even_if_the_loss_is_no_lower() -> None:
    mended = candidate("zero-grad", Risk.LOOP, -0.05)
    assert pick([mended]) is mended
    assert pick([candidate("zero-grad", Risk.LOOP, -0.5)]) is None
    assert pick([candidate("zero-grad", Risk.LOOP, 0.0, Symptom.THERE)]) is None


def test_a_run_that_stays_finite_wins_over_one_that_does_not() -> None:
    assert gain(Score(1.0), Score(math.inf)) == math.inf
    assert gain(Score(math.inf), Score(1.0)) == -math.inf
    assert gain(Score(math.inf), Score(math.inf)) == 0.0
    assert gain(Score(1.0), Score(math.e)) == pytest.approx(1.0)
    finite = candidate("finite", Risk.OPTIMIZER, math.inf)
    assert pick([finite, candidate("other", Risk.ACTIVATION, math.inf)]) is finite


def diagnosis(*found: tuple[str, Severity], consequences: tuple[tuple[str, Severity], ...] = ()) -> Diagnosis:
    behind = tuple(Finding(rule, severity, "") for rule, severity in consequences)
    findings = tuple(Finding(rule, severity, "", consequences=behind) for rule, severity in found)
    return Diagnosis(Verdict.SICK if findings else Verdict.HEALTHY, Trace(steps=10), findings)


def test_a_finding_is_gone_only_when_its_rule_finds_nothing_at_all() -> None:
    before = diagnosis(("vanishing-gradient", Severity.ERROR), ("dead-units", Severity.WARNING))
    assert symptom(before, diagnosis()) is Symptom.GONE
    assert symptom(before, diagnosis(("dead-units", Severity.WARNING))) is Symptom.GONE
    assert symptom(before, diagnosis(("vanishing-gradient", Severity.WARNING))) is Symptom.WEAKER
    folded = diagnosis(("dead-units", Severity.ERROR), consequences=(("vanishing-gradient", Severity.ERROR),))
    assert symptom(before, folded) is Symptom.THERE
    assert symptom(before, Diagnosis(Verdict.UNKNOWN, Trace())) is Symptom.UNKNOWN
    assert symptom(diagnosis(), diagnosis()) is Symptom.UNKNOWN


def test_what_cannot_be_written_becomes_an_instruction() -> None:
    tree = SourceTree({"/a/train.py": "x = 1\n"}, "/a")
    plan = Plan((Change("clip-norm", Act.CLIP, Risk.OPTIMIZER, (("kind", "norm"), ("threshold", 1.0))),))
    written, instructions = write_candidates([plan], Candidate(Plan(), tree, {}), Trace(), set())
    assert written == []
    assert [item.plan for item in instructions] == [plan]
    assert instructions[0].text
    assert issubclass(PatchError, Exception)


def test_equal_texts_are_tried_once() -> None:
    text = "import torch\nm = torch.nn.Linear(1, 1)\no = torch.optim.SGD(m.parameters(), lr=0.1)\no.step()\n"
    tree = SourceTree({"/a/train.py": text}, "/a")
    seen: set[str] = set()
    plan = Plan((Change("lower-lr", Act.OPTIMIZE, Risk.OPTIMIZER, (("lr", 0.01),)),))
    parent = Candidate(Plan(), tree, {})
    first, _ = write_candidates([plan, plan], parent, Trace(), seen)
    assert len(first) == 1
    assert "lr=0.01" in first[0].texts["/a/train.py"]
    assert write_candidates([plan], parent, Trace(), seen)[0] == []
