"""Plans are distinct, ordered and the same for the same trace; controls are drawn from what applies."""

from __future__ import annotations

import dataclasses

import pytest

from evengrad.core.finding import Cause, CauseKind, Severity
from evengrad.core.plan import Act
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies.prescribe import advise, autotrainer_plans, prescribe, random_plans
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding, healthy_mlp
from tests.remedies.runs import QUICK_SICK, diagnosis_of

SIGMOID = diagnosis(deep_sigmoid(), finding())


def test_single_changes_come_before_pairs_and_the_least_intrusive_first() -> None:
    relu = TraceBuilder().mlp(12).optimizer("SGD", lr=0.1).ledger(weight=5.0).build()
    cause = Cause(CauseKind.WEIGHT_SCALE_LARGE, 1.0, "")
    plans = prescribe(diagnosis(relu, finding("exploding-gradient", cause=cause)))
    sizes = [len(plan.changes) for plan in plans]
    first_pair = sizes.index(2)
    assert sizes[:first_pair] == first_pair * [1]
    ranks = [plan.risk[0] for plan in plans[:first_pair]]
    assert ranks == sorted(ranks)
    assert plans[0].remedies == ("he-init",)


def test_a_swapped_activation_is_paired_with_its_initialisation() -> None:
    kinds = [plan.remedies for plan in prescribe(SIGMOID)]
    assert kinds[:4] == [("tanh",), ("relu",), ("tanh", "xavier-init"), ("relu", "he-init")]


@pytest.mark.parametrize("name", QUICK_SICK)
def test_no_plan_is_prescribed_twice(name: str) -> None:
    plans = prescribe(diagnosis_of(name))
    assert len({frozenset(plan.changes) for plan in plans}) == len(plans)


def test_the_same_diagnosis_gives_the_same_plans() -> None:
    assert [plan.key for plan in prescribe(SIGMOID)] == [plan.key for plan in prescribe(SIGMOID)]


def test_information_and_healthy_runs_get_no_plan() -> None:
    assert prescribe(diagnosis(healthy_mlp())) == ()
    assert prescribe(diagnosis(deep_sigmoid(), finding(severity=Severity.INFO))) == ()
    assert random_plans(diagnosis(healthy_mlp()), 0, 5) == ()
    assert autotrainer_plans(diagnosis(healthy_mlp())) == ()


def test_only_the_first_fault_is_prescribed_for() -> None:
    second = finding("loop-order", cause=Cause(CauseKind.LOOP_ORDER, 1.0, ""))
    assert prescribe(diagnosis(deep_sigmoid(), finding(), second)) == prescribe(SIGMOID)


def test_a_batch_that_struck_a_sound_run_is_answered_before_what_it_led_to() -> None:
    struck = finding("gradient-spike", cause=Cause(CauseKind.DATA, 1.0, ""), first_step=60)
    root = finding("update-too-large", cause=Cause(CauseKind.LEARNING_RATE_HIGH, 1.0, ""), first_step=60)
    plans = prescribe(diagnosis(healthy_mlp(), dataclasses.replace(root, consequences=(struck,))))
    assert plans[0].remedies == ("clip-norm",)
    assert ("lower-lr",) in [plan.remedies for plan in plans]


def test_calls_in_the_wrong_order_are_repaired_before_anything_else_is_doubted() -> None:
    name = "zero-grad-missing"
    assert [plan.remedies for plan in prescribe(diagnosis_of(name))] == [("zero-grad",)]


def test_random_plans_are_the_same_for_a_seed_distinct_and_independent_of_the_cause() -> None:
    plans = random_plans(SIGMOID, 3, 12)
    assert plans == random_plans(SIGMOID, 3, 12)
    assert plans != random_plans(SIGMOID, 4, 12)
    assert len(plans) == 12 == len({plan.key for plan in plans})
    assert {len(plan.changes) for plan in plans} == {1, 2}
    other = diagnosis(deep_sigmoid(), finding(cause=Cause(CauseKind.LOSS_NUMERICS, 1.0, "")))
    assert random_plans(other, 3, 12) == plans
    drawn = {remedy for plan in random_plans(SIGMOID, 0, 60) for remedy in plan.remedies}
    assert {"clip-norm", "l2", "he-init", "lower-lr", "higher-lr", "relu"} <= drawn


def test_random_plans_draw_only_what_applies() -> None:
    adam = diagnosis(TraceBuilder().layers("a", "b").optimizer("Adam", lr=1e-3).build(), finding(modules=()))
    drawn = {remedy for plan in random_plans(adam, 0, 40) for remedy in plan.remedies}
    assert drawn
    assert not drawn & {"relu", "prelu", "forget-bias", "bf16", "unscale-before-clip", "other-optimizer"}


def test_autotrainer_swaps_activations_first() -> None:
    first, second, third = autotrainer_plans(SIGMOID)
    assert [change.word("to") for change in (first.changes[0], second.changes[0])] == ["selu", "relu"]
    assert [change.word("method") for change in (first.changes[1], second.changes[1])] == ["lecun", "he"]
    assert third.changes[0].act is Act.NORMALISE


def test_autotrainer_clips_third_at_nine_to_ten() -> None:
    exploding = finding("exploding-gradient", cause=Cause(CauseKind.WEIGHT_SCALE_LARGE, 1.0, ""))
    clip = autotrainer_plans(diagnosis(deep_sigmoid(), exploding))[2].changes[0]
    assert (clip.word("kind"), clip.number("threshold")) == ("value", 9.5)


def test_advice_gives_reasons_and_what_it_has_is_kept() -> None:
    (advised,) = advise(SIGMOID).findings
    assert [advice.remedy for advice in advised.advice] == ["tanh", "xavier-init", "relu", "he-init"]
    assert all(advice.why and advice.key.startswith(f"remedy-{advice.remedy}.") for advice in advised.advice)
    assert advise(advise(SIGMOID)) == advise(SIGMOID)


def test_consequences_are_advised_too() -> None:
    rate = finding("update-too-large", cause=Cause(CauseKind.LEARNING_RATE_HIGH, 1.0, ""))
    (advised,) = advise(diagnosis(deep_sigmoid(), finding(consequences=(rate,)))).findings
    assert advised.consequences[0].advice[0].remedy == "lower-lr"


@pytest.mark.parametrize("name", QUICK_SICK)
def test_every_prescribed_change_has_a_reason_without_blanks_or_nan(name: str) -> None:
    run = diagnosis_of(name)
    known = catalogue_remedies()
    for plan in prescribe(run):
        for change in plan.changes:
            why = known[change.remedy].why(change, run.trace, run.findings[0]).why
            assert why
            assert "{" not in why
            assert "nan" not in why
