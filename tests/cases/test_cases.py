"""Every case is what it says: sick ones fail while their healthy twins train, healthy ones train.

The suite runs the quick cases on one seed; all cases on five seeds are marked slow.
"""

from __future__ import annotations

import ast
import inspect
import math
from itertools import combinations

import pytest

from evengrad.cases._base import Case
from evengrad.core.discover import catalogue
from evengrad.core.finding import CauseKind

CASES: dict[str, Case] = {name: module.CASE for name, module in catalogue("evengrad.cases").items()}
SICK = {name: case for name, case in CASES.items() if case.fault is not None}
HEALTHY = {name: case for name, case in CASES.items() if case.fault is None}
RULES = (
    "vanishing-gradient exploding-gradient saturated-activation dead-units non-finite gradient-spike "
    "bad-initialisation input-scale target-scale update-too-large update-too-small precision-loss no-gradient "
    "loop-order clipping-saturated constant-output loss-scale-collapse"
).split()
# More than half a second of training for the case and its twin together: on five seeds only.
LONG = frozenset(
    {
        "batchnorm-tower",
        "bf16-weights-small-lr",
        "checkpointed",
        "clip-before-backward",
        "conv-unit-init",
        "corrupt-sequence",
        "deep-gelu-adam",
        "deep-relu-adam",
        "deep-relu-default-init",
        "deep-sigmoid-conv",
        "deeper-relu-adam",
        "gan",
        "hardtanh-large-weights",
        "lr-decays-at-once",
        "lr-too-high-adam",
        "lr-too-high-sgd",
        "lstm-long-memory",
        "peers-h3-gpt",
        "peers-s1-sigmoid",
        "peers-s2-tanh-init",
        "peers-s3-unit-init",
        "peers-s4-relu-rnn",
        "postnorm-no-warmup",
        "pre-norm-transformer",
        "recurrence-explodes",
        "relu-double-he",
        "residual-batchnorm",
        "residual-without-norm",
        "rezero",
        "rnn-forgets",
        "short-memory-suffices",
        "stale-optimizer",
        "tanh-chaotic",
        "tanh-tiny-init",
        "warmup",
        "zeroed-before-step",
    }
)


def assert_case_is_what_it_says(case: Case, seed: int) -> None:
    loss = case.run(seed)
    if case.twin is None:
        assert case.trained(loss), f"healthy case ends at {loss}"
        return
    assert not case.trained(loss), f"sick case ends at {loss}"
    healthy = case.twin(seed)
    assert case.trained(healthy), f"healthy twin ends at {healthy}"


@pytest.mark.parametrize("name", sorted(CASES.keys() - LONG))
def test_case_is_what_it_says_on_one_seed(name: str) -> None:
    assert_case_is_what_it_says(CASES[name], seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", sorted(CASES))
def test_case_is_what_it_says_on_five_seeds(name: str, seed: int) -> None:
    assert_case_is_what_it_says(CASES[name], seed)


@pytest.mark.parametrize("name", ["deep-sigmoid-mlp", "heavy-dropout", "scaler-calibration", "glitch-in-targets"])
def test_the_same_seed_gives_the_same_loss(name: str) -> None:
    first, second = CASES[name].run(3), CASES[name].run(3)
    assert first == second
    assert math.isfinite(first)


def test_there_are_enough_cases_of_both_kinds() -> None:
    assert len(SICK) >= 34
    assert len(HEALTHY) >= 16


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_two_sick_cases_that_differ_in_architecture_and_optimizer(rule: str) -> None:
    own = [case for case in SICK.values() if case.fault == rule]
    assert any(a.architecture != b.architecture and a.optimizer != b.optimizer for a, b in combinations(own, 2))


@pytest.mark.parametrize("name", sorted(SICK))
def test_a_sick_case_names_known_rules_only(name: str) -> None:
    case = SICK[name]
    assert {case.fault, *case.equivalents} <= set(RULES)
    assert case.fault not in case.equivalents
    assert case.first_step[0] <= case.first_step[1]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_case_knows_nothing_of_evengrad_but_its_own_tools(name: str) -> None:
    module = catalogue("evengrad.cases")[name]
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("evengrad"):
            assert node.module.startswith("evengrad.cases._") or node.module == "evengrad.core.finding"


def test_a_healthy_case_cannot_claim_a_cause() -> None:
    with pytest.raises(ValueError, match="names neither cause"):
        Case("fine", lambda seed: 0.0, 1.0, "MLP", "SGD", causes=frozenset({CauseKind.DATA}))


def test_a_sick_case_needs_a_twin() -> None:
    with pytest.raises(ValueError, match="needs a twin"):
        Case("ill", lambda seed: 0.0, 1.0, "MLP", "SGD", fault="dead-units", causes=frozenset({CauseKind.DATA}))
