"""Which orders of the training loop are faults."""

from __future__ import annotations

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.rules.loop_order import RULE
from tests.builders import TraceBuilder

DEVIATIONS = [
    EventKind.ZERO_GRAD_MISSING,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP,
    EventKind.CLIP_BEFORE_UNSCALE,
    EventKind.DOUBLE_STEP,
    EventKind.STEP_WITHOUT_BACKWARD,
]


def run(*, learns: bool = True, steps: int = 100) -> TraceBuilder:
    """Return a run of three layers with an optimizer."""
    rate = 0.97 if learns else 1.0
    built = TraceBuilder(steps=steps).mlp(3).optimizer("SGD", lr=0.1)
    return built.series(Statistic.LOSS, "", lambda step: 2.3 * rate**step)


@pytest.mark.parametrize("kind", DEVIATIONS)
def test_systematic_deviation_is_reported_with_its_line(kind: EventKind) -> None:
    (finding,) = RULE.judge(run().event(kind, 1, count=99, last_step=99, line=17).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LOOP_ORDER
    assert finding.cause.share >= 0.99
    assert finding.message_key == f"loop-order.{kind.value}"
    assert [line.line for line in finding.source] == [17]
    assert (finding.first_step, finding.last_step) == (1, 99)


def test_run_that_fails_makes_it_an_error() -> None:
    kind = EventKind.ZERO_GRAD_MISSING
    (warning,) = RULE.judge(run().event(kind, 1, count=99, last_step=99).build())
    (error,) = RULE.judge(run(learns=False).event(kind, 1, count=99, last_step=99).build())
    assert (warning.severity, error.severity) == (Severity.WARNING, Severity.ERROR)


def test_update_of_nothing_is_an_error_whatever_the_loss_does() -> None:
    (finding,) = RULE.judge(run().event(EventKind.ZERO_GRAD_BEFORE_STEP, 0, count=100, last_step=99).build())
    assert finding.severity is Severity.ERROR


def test_two_faults_are_two_findings() -> None:
    built = run().event(EventKind.ZERO_GRAD_MISSING, 1, count=99, last_step=99)
    assert len(RULE.judge(built.event(EventKind.CLIP_AFTER_STEP, 0, count=100, last_step=99).build())) == 2


@pytest.mark.parametrize("kind", DEVIATIONS)
def test_exception_is_silent(kind: EventKind) -> None:
    assert RULE.judge(run().event(kind, 0).build()) == ()
    assert RULE.judge(run().event(kind, 0, count=20, last_step=99).build()) == ()


def test_zero_grad_missing_once_an_epoch_is_silent() -> None:
    assert RULE.judge(run(steps=1000).event(EventKind.ZERO_GRAD_MISSING, 99, count=10, last_step=999).build()) == ()


def test_double_step_counts_in_rounds() -> None:
    (finding,) = RULE.judge(run(steps=200).event(EventKind.DOUBLE_STEP, 1, count=99, last_step=199).build())
    assert "99 times in 100 rounds" in finding.message
    assert finding.evidence[0].measured == pytest.approx(0.99)


def test_optimizer_of_another_model_is_disconnected() -> None:
    built = run(learns=False).event(EventKind.FOREIGN_PARAMETERS, 0, parameters="model.0.weight")
    for site in ("net.0", "net.2", "net.4"):
        built.series(Statistic.GRAD_MISSING, f"{site}.weight", 1.0, steps=[0, 1, 2])
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.DISCONNECTED
    assert finding.parameters == ("model.0.weight",)


def test_head_trained_alone_beside_an_unfrozen_backbone_is_silent() -> None:
    built = run().event(EventKind.FOREIGN_PARAMETERS, 0, parameters="backbone.0.weight")
    built.series(Statistic.GRAD_MISSING, "net.4.weight", 0.0, steps=[0, 1])
    assert RULE.judge(built.series(Statistic.GRAD_RMS, "net.4.weight", 1e-2, steps=[0, 1]).build()) == ()


def test_loop_in_order_is_silent() -> None:
    assert RULE.judge(run().build()) == ()
    assert RULE.judge(run().event(EventKind.CLIPPED, 0, count=100, last_step=99).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()


def test_zeros_that_no_optimizer_holds_are_a_fault_where_nothing_gets_past_them() -> None:
    built = run(learns=False).event(EventKind.FOREIGN_PARAMETERS, 0, parameters="head.weight", zero="1")
    starving = built.series(Statistic.GRAD_RMS, "net.0.weight", 0.0).series(Statistic.GRAD_RMS, "net.2.weight", 0.0)
    (finding,) = RULE.judge(starving.build())
    assert finding.message_key == "loop-order.foreign-zero"
    assert finding.severity is Severity.ERROR
    assert finding.modules == ("head",)


def test_zeros_that_no_optimizer_holds_are_nobodys_business_where_the_others_learn() -> None:
    built = run().event(EventKind.FOREIGN_PARAMETERS, 0, parameters="skip.weight", zero="1")
    assert RULE.judge(built.series(Statistic.GRAD_RMS, "net.0.weight", 1e-3).build()) == ()
