"""A finding is held against a case by rule, place, step and cause."""

from __future__ import annotations

import pytest

from evengrad.cases._base import Case
from evengrad.core.finding import Cause, CauseKind, Finding, Severity

CASE = Case(
    description="a dead layer",
    run=lambda seed: 1.0,
    twin=lambda seed: 0.0,
    threshold=0.5,
    architecture="MLP",
    optimizer="SGD",
    fault="dead-units",
    equivalents=frozenset({"no-gradient"}),
    causes=frozenset({CauseKind.DEAD_UNITS}),
    modules=("net.1", "fc2"),
    first_step=(3, 5),
)


def finding(rule: str = "dead-units", severity: Severity = Severity.ERROR, module: str = "net.1") -> Finding:
    cause = Cause(CauseKind.DEAD_UNITS, 1.0, "")
    return Finding(rule, severity, "", first_step=4, modules=(module,), parameters=("x.weight",), cause=cause)


@pytest.mark.parametrize("loss", [0.0, 0.5])
def test_a_loss_at_or_below_the_threshold_is_trained(loss: float) -> None:
    assert CASE.trained(loss)


@pytest.mark.parametrize("loss", [0.51, float("inf"), float("nan")])
def test_a_loss_above_the_threshold_or_not_finite_is_not_trained(loss: float) -> None:
    assert not CASE.trained(loss)


def test_own_and_equivalent_rules_name_the_fault_and_others_do_not() -> None:
    assert CASE.names_fault(finding())
    assert CASE.names_fault(finding("no-gradient", Severity.WARNING))
    assert not CASE.names_fault(finding("input-scale"))


def test_an_info_is_no_alarm() -> None:
    assert not CASE.names_fault(finding(severity=Severity.INFO))


@pytest.mark.parametrize("module", ["net.1", "net.1.inner", "fc2:relu"])
def test_a_place_is_right_inside_any_accepted_one(module: str) -> None:
    assert CASE.accepts_place(finding(module=module))


@pytest.mark.parametrize("module", ["net.10", "net", "fc21", ""])
def test_a_place_is_wrong_beside_the_accepted_ones(module: str) -> None:
    assert not CASE.accepts_place(finding(module=module))


def test_a_parameter_inside_an_accepted_module_is_the_right_place() -> None:
    assert CASE.accepts_place(Finding("dead-units", Severity.ERROR, "", parameters=("net.1.weight",)))


def test_the_step_window_includes_its_ends() -> None:
    steps = [CASE.accepts_step(Finding("dead-units", Severity.ERROR, "", first_step=step)) for step in (2, 3, 5, 6)]
    assert steps == [False, True, True, False]


def test_a_missing_cause_is_not_a_right_one() -> None:
    assert CASE.accepts_cause(finding())
    assert not CASE.accepts_cause(Finding("dead-units", Severity.ERROR, ""))
