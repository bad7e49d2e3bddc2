"""On real runs: the known smallest repair is prescribed early, and nothing for a healthy run."""

from __future__ import annotations

import pytest

from evengrad.core.plan import Plan
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies.prescribe import prescribe
from tests.remedies.runs import CASES, HEALTHY, QUICK_HEALTHY, QUICK_SICK, SICK, diagnosis_of

EARLY = 4  # plans that a search with little budget gets to


def kind(plan: Plan) -> str:
    return " + ".join(plan.remedies)


def assert_repair_comes_early(name: str, seed: int) -> None:
    early = [kind(plan) for plan in prescribe(diagnosis_of(name, seed))[:EARLY]]
    assert CASES[name].repairs & set(early), f"known: {sorted(CASES[name].repairs)}, prescribed: {early}"


@pytest.mark.parametrize("name", QUICK_SICK)
def test_the_known_smallest_repair_is_prescribed_early(name: str) -> None:
    assert_repair_comes_early(name, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(name for name, case in SICK.items() if case.repairs))
def test_the_known_smallest_repair_is_prescribed_early_on_three_seeds(name: str, seed: int) -> None:
    assert_repair_comes_early(name, seed)


@pytest.mark.parametrize("name", QUICK_HEALTHY)
def test_nothing_is_prescribed_for_a_healthy_run(name: str) -> None:
    assert prescribe(diagnosis_of(name)) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HEALTHY))
def test_nothing_is_prescribed_for_any_healthy_run(name: str) -> None:
    assert prescribe(diagnosis_of(name)) == ()


def test_known_repairs_are_remedies_of_the_catalogue() -> None:
    named = {remedy for case in SICK.values() for repair in case.repairs for remedy in repair.split(" + ")}
    assert named <= set(catalogue_remedies())


def test_few_sick_cases_are_out_of_reach_of_every_remedy() -> None:
    beyond = {name for name, case in SICK.items() if not case.repairs}
    assert beyond == {"lstm-long-memory", "nan-in-data", "rnn-forgets", "scale-collapses-on-mask"}


def test_clipping_and_l2_are_never_prescribed_against_weights_or_activations() -> None:
    useless = {"clip-norm", "clip-value", "adaptive-clip", "l2", "weight-decay"}
    for name in ("deep-sigmoid-mlp", "peers-s3-unit-init"):
        prescribed = {remedy for plan in prescribe(diagnosis_of(name)) for remedy in plan.remedies}
        assert not prescribed & useless, name


def test_no_initialisation_alone_is_prescribed_against_sigmoid() -> None:
    plans = prescribe(diagnosis_of("deep-sigmoid-mlp"))
    alone = {plan.remedies[0] for plan in plans if len(plan.remedies) == 1}
    assert not {remedy for remedy in alone if remedy.endswith("-init")}
