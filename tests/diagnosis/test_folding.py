"""One fault, one finding."""

from __future__ import annotations

import pytest

from evengrad.core.discover import catalogue
from evengrad.core.finding import Cause, CauseKind, Finding, Severity
from evengrad.diagnosis.folding import fold
from evengrad.diagnosis.links import OWNERS, TABLE
from tests.builders import finding

RATE, WEIGHTS, DERIVATIVE = CauseKind.LEARNING_RATE_HIGH, CauseKind.WEIGHT_SCALE_LARGE, CauseKind.ACTIVATION_DERIVATIVE


def made(
    rule: str,
    cause: CauseKind | None = None,
    *,
    step: int = 0,
    severity: Severity = Severity.ERROR,
    place: str = "net.0",
) -> Finding:
    """Return a finding of a rule, with a cause, that begins at a step."""
    because = Cause(cause, 1.0, "because") if cause else None
    return finding(
        rule, severity, cause=because, first_step=step, modules=(place,), parameters=(f"{place}.weight",), source=()
    )  # fmt: skip


def folded(*findings: Finding) -> dict[str, list[str]]:
    """Return the roots and what each explains, whatever the order in which the rules spoke."""
    forwards = {root.rule: sorted(child.rule for child in root.consequences) for root in fold(findings)}
    backwards = {root.rule: sorted(child.rule for child in root.consequences) for root in fold(findings[::-1])}
    assert forwards == backwards
    return forwards


def test_inf_downstream_of_an_exploding_net_is_no_second_fault() -> None:
    exploding, lost = made("exploding-gradient", WEIGHTS), made("non-finite", WEIGHTS, step=3)
    spoilt = made("update-too-large", RATE)
    assert folded(exploding, lost, spoilt, made("bad-initialisation", WEIGHTS)) == {
        "exploding-gradient": ["bad-initialisation", "non-finite", "update-too-large"]
    }


def test_learning_rate_that_blew_the_net_up_explains_the_explosion() -> None:
    findings = (
        made("update-too-large", RATE), made("exploding-gradient", RATE, step=2), made("non-finite", RATE, step=4),
        made("dead-units", CauseKind.DEAD_UNITS, step=2),
    )  # fmt: skip
    assert folded(*findings) == {"update-too-large": ["dead-units", "exploding-gradient", "non-finite"]}


def test_saturation_is_how_a_gradient_vanishes_not_its_rival() -> None:
    vanishing = made("vanishing-gradient", DERIVATIVE)
    assert folded(
        vanishing, made("saturated-activation", DERIVATIVE), made("update-too-small"), made("constant-output")
    ) == {"vanishing-gradient": ["constant-output", "saturated-activation", "update-too-small"]}


def test_data_explain_the_saturation_and_the_vanishing_that_names_them() -> None:
    scale = CauseKind.INPUT_SCALE
    assert folded(
        made("input-scale", scale), made("saturated-activation", scale), made("vanishing-gradient", scale)
    ) == {"input-scale": ["saturated-activation", "vanishing-gradient"]}


def test_depth_that_vanishes_by_itself_is_no_consequence_of_the_data() -> None:
    assert set(folded(made("input-scale", CauseKind.INPUT_SCALE), made("vanishing-gradient", DERIVATIVE))) == {
        "input-scale", "vanishing-gradient",
    }  # fmt: skip


def test_dead_units_explain_what_they_block() -> None:
    assert folded(
        made("dead-units", CauseKind.DEAD_UNITS), made("vanishing-gradient", CauseKind.DEAD_UNITS),
        made("no-gradient", CauseKind.DEAD_UNITS), made("constant-output", CauseKind.DEAD_UNITS),
    ) == {"dead-units": ["constant-output", "no-gradient", "vanishing-gradient"]}  # fmt: skip


def test_branch_that_is_cut_off_is_a_fault_beside_dead_units() -> None:
    cut = made("no-gradient", CauseKind.DISCONNECTED, place="other")
    assert set(folded(made("dead-units", CauseKind.DEAD_UNITS), cut)) == {"dead-units", "no-gradient"}


def test_calls_in_the_wrong_order_explain_what_they_break() -> None:
    order = made("loop-order", CauseKind.LOOP_ORDER, step=1)
    assert folded(
        order, made("exploding-gradient", RATE, step=20), made("non-finite", RATE, step=60),
        made("update-too-large", RATE), made("clipping-saturated", severity=Severity.INFO), made("update-too-small"),
    ) == {
        "loop-order": ["clipping-saturated", "exploding-gradient", "non-finite", "update-too-large", "update-too-small"]
    }  # fmt: skip


def test_calls_in_the_wrong_order_do_not_excuse_the_network_or_the_batch() -> None:
    order = made("loop-order", CauseKind.LOOP_ORDER)
    assert set(folded(order, made("vanishing-gradient", DERIVATIVE))) == {"loop-order", "vanishing-gradient"}
    assert set(folded(order, made("non-finite", CauseKind.DATA, step=60))) == {"loop-order", "non-finite"}


def test_corrupt_batch_is_a_fault_of_its_own_beside_everything() -> None:
    lost = made("non-finite", CauseKind.DATA, step=60)
    for other in (made("update-too-large", RATE), made("exploding-gradient", WEIGHTS), made("input-scale")):
        assert "non-finite" in folded(other, lost)


def test_underflow_explains_the_missing_gradient_of_the_same_layers_only() -> None:
    lost = made("precision-loss", CauseKind.PRECISION, place="net.2")
    same = made("no-gradient", CauseKind.DISCONNECTED, place="net.2")
    other = made("no-gradient", CauseKind.DISCONNECTED, place="head")
    assert folded(lost, same) == {"precision-loss": ["no-gradient"]}
    assert set(folded(lost, other)) == {"precision-loss", "no-gradient"}


def test_consequence_does_not_come_before_its_cause() -> None:
    late = made("update-too-large", RATE, step=80)
    assert set(folded(late, made("dead-units", CauseKind.DEAD_UNITS, step=0))) == {"update-too-large", "dead-units"}
    assert folded(late, made("dead-units", CauseKind.DEAD_UNITS, step=90)) == {"update-too-large": ["dead-units"]}


def test_chains_resolve_to_their_root() -> None:
    findings = (
        made("input-scale", CauseKind.INPUT_SCALE), made("update-too-large", RATE),
        made("exploding-gradient", RATE, step=1), made("non-finite", RATE, step=2), made("loss-scale-collapse", step=3),
    )  # fmt: skip
    assert folded(*findings) == {
        "input-scale": ["exploding-gradient", "loss-scale-collapse", "non-finite", "update-too-large"]
    }


def test_root_is_as_severe_as_its_worst_consequence() -> None:
    (root,) = fold([made("loop-order", severity=Severity.WARNING), made("update-too-large", RATE)])
    assert (root.rule, root.severity) == ("loop-order", Severity.ERROR)


def test_fault_begins_with_its_first_sign() -> None:
    (root,) = fold([made("update-too-large", RATE, step=58), made("dead-units", RATE, step=4)])
    assert (root.rule, root.first_step) == ("update-too-large", 4)


def test_information_explains_no_alarm() -> None:
    trains = made("vanishing-gradient", DERIVATIVE, severity=Severity.INFO)
    alarm = made("constant-output", severity=Severity.WARNING)
    assert set(folded(trains, alarm)) == {"vanishing-gradient", "constant-output"}
    assert folded(trains, made("saturated-activation", severity=Severity.INFO)) == {
        "vanishing-gradient": ["saturated-activation"]
    }


def test_worst_finding_comes_first() -> None:
    findings = [made("loop-order", severity=Severity.INFO), made("target-scale", step=5), made("input-scale", step=2)]
    order = [root.rule for root in fold([findings[0], made("vanishing-gradient", DERIVATIVE), findings[2]])]
    assert order == ["vanishing-gradient", "input-scale", "loop-order"]


def test_two_findings_of_one_rule_stay_two() -> None:
    twins = [made("dead-units", CauseKind.DEAD_UNITS, place=place) for place in ("a", "b")]
    assert len(fold(twins)) == 2


def test_folding_nothing_gives_nothing() -> None:
    assert fold([]) == ()


def test_no_order_of_rules_loses_or_doubles_a_finding() -> None:
    rules = sorted(catalogue("evengrad.rules"))
    causes = [None, RATE, WEIGHTS, DERIVATIVE, CauseKind.DEAD_UNITS, CauseKind.INPUT_SCALE, CauseKind.LOOP_ORDER]
    for cause in causes:
        findings = [made(rule, cause) for rule in rules]
        roots = fold(findings)
        told = [root.rule for root in roots] + [child.rule for root in roots for child in root.consequences]
        assert sorted(told) == rules


@pytest.mark.parametrize("link", TABLE, ids=lambda link: f"{link.root}>{link.effect}")
def test_table_names_rules_of_the_catalogue(link: object) -> None:
    known = set(catalogue("evengrad.rules"))
    assert {link.root, link.effect} <= known  # type: ignore[attr-defined]
    assert set(OWNERS.values()) <= known


def test_clip_that_does_nothing_explains_the_recurrence_it_should_have_held() -> None:
    recurrence = made("exploding-gradient", CauseKind.RECURRENT_JACOBIAN)
    lost = made("non-finite", CauseKind.RECURRENT_JACOBIAN, step=5)
    clip = finding("loop-order", message_key="loop-order.clip-before-backward", cause=None, first_step=0)
    assert folded(clip, recurrence, lost) == {"loop-order": ["exploding-gradient", "non-finite"]}
    depth = made("exploding-gradient", CauseKind.WEIGHT_SCALE_LARGE)
    assert set(folded(clip, depth)) == {"loop-order", "exploding-gradient"}


def test_network_that_data_blew_up_is_no_fault_of_its_own() -> None:
    data = made("input-scale", CauseKind.INPUT_SCALE)
    assert folded(data, made("exploding-gradient", WEIGHTS, step=2)) == {"input-scale": ["exploding-gradient"]}
    assert set(folded(data, made("exploding-gradient", WEIGHTS, step=0))) == {"input-scale", "exploding-gradient"}


def test_output_that_cannot_reach_its_targets_is_a_fault_of_its_own() -> None:
    bounded = made("constant-output", CauseKind.OUTPUT_ACTIVATION)
    for other in (made("update-too-large", RATE), made("input-scale", CauseKind.INPUT_SCALE)):
        assert "constant-output" in folded(other, bounded)
