"""When a value that is not finite is a fault, whose it is, and where it began."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.ledger import EntryKind, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.non_finite import RULE
from tests.builders import TraceBuilder

NAN = math.nan


def run(steps: int = 200, *, dies: int | None = None, optimizer: str = "Adam", **group: float) -> TraceBuilder:
    """Return a classifier that learns, until its loss dies."""
    losses = [2.3 * 0.98**step if dies is None or step < dies else NAN for step in range(steps)]
    built = (
        TraceBuilder(steps=steps)
        .mlp(3)
        .optimizer(optimizer, **{"lr": 1e-3, **group})
        .series(Statistic.LOSS, "", losses)
        .per_layer(Statistic.WEIGHT_RMS, first=0.1, last=0.1)
        .per_layer(Statistic.UPDATE_RATIO, first=2e-3, last=2e-3)
        .per_layer(Statistic.INPUT_RMS, first=1.0, last=0.7)
        .ledger(0, activation=-0.3, weight=0.1)
    )
    return (
        built if dies is None else built.event(EventKind.NON_FINITE_LOSS, dies, count=steps - dies, last_step=steps - 1)
    )


def only(trace: Trace) -> Finding:
    found = RULE.judge(trace)
    assert len(found) == 1
    return found[0]


def cause(trace: Trace) -> CauseKind | None:
    found = only(trace).cause
    return found.kind if found else None


def located(built: TraceBuilder, step: int, phase: str, operation: str, module: str = "net.4", **more: str) -> Trace:
    details = {"phase": phase, "operation": operation, "module": module, **more}
    return built.event(EventKind.NON_FINITE, step, line=31, **details).build()


def test_logarithm_of_zero_is_named_with_its_place() -> None:
    trace = located(run(dies=60), 60, "forward", "Log", inputs="[0, 0.97]")
    finding = only(trace)
    assert finding.severity is Severity.ERROR
    assert finding.message == "At step 60 `Log` in `net.4` turned finite inputs [0, 0.97] into NaN or Inf."
    assert (finding.first_step, finding.modules) == (60, ("net.4",))
    assert [line.line for line in finding.source] == [31]
    assert cause(trace) is CauseKind.LOSS_NUMERICS


@pytest.mark.parametrize("operation", ["Sqrt", "SqrtBackward0", "aten::sqrt", "LinalgVectorNorm", "Div"])
def test_pole_of_a_derivative_is_the_operations_own_fault(operation: str) -> None:
    trace = located(run(dies=61), 60, "backward", operation)
    assert cause(trace) is CauseKind.LOSS_NUMERICS
    assert "derivative" in only(trace).message


def test_batch_with_nan_is_the_datas_fault_even_when_the_script_skips_it() -> None:
    trace = located(run(dies=60), 60, "data", "Addmm", "net.0")
    assert cause(trace) is CauseKind.DATA
    survived = run().event(EventKind.NON_FINITE_LOSS, 60, count=5, last_step=180)
    finding = only(located(survived, 60, "data", "Addmm", "net.0"))
    assert finding.severity is Severity.WARNING  # 5 of 200 steps is no rarity


def test_growth_before_makes_the_learning_rate_the_cause() -> None:
    built = run(dies=40).series(Statistic.WEIGHT_RMS, "net.2.weight", lambda step: 0.1 * 1.2**step, steps=range(40))
    assert cause(located(built, 40, "forward", "Addmm")) is CauseKind.LEARNING_RATE_HIGH
    built = run(dies=5).series(Statistic.UPDATE_RATIO, "net.2.weight", [0.9, 1.5, 3.0], steps=[0, 1, 2])
    assert cause(located(built, 5, "forward", "Log")) is CauseKind.LEARNING_RATE_HIGH


def test_rising_loss_before_an_overflow_makes_the_learning_rate_the_cause() -> None:
    built = run(dies=40).series(Statistic.LOSS, "", [2.0 + (3.0**step if step < 40 else NAN) for step in range(200)])
    assert cause(located(built, 40, "forward", "MseLoss")) is CauseKind.LEARNING_RATE_HIGH


def test_high_loss_alone_does_not_excuse_a_logarithm() -> None:
    losses = [0.01 if step < 59 else (60.0 if step == 59 else NAN) for step in range(200)]
    built = run(dies=60).series(Statistic.LOSS, "", losses)
    assert cause(located(built, 60, "forward", "Log")) is CauseKind.LOSS_NUMERICS


def test_early_large_update_long_before_does_not_excuse_a_logarithm() -> None:
    built = run(dies=150).series(Statistic.UPDATE_RATIO, "net.2.weight", [0.4, 0.01, 0.01], steps=[0, 64, 128])
    assert cause(located(built, 150, "forward", "Log")) is CauseKind.LOSS_NUMERICS


def test_explosion_before_any_update_lies_in_the_weights_or_the_data() -> None:
    weights = run(dies=3).change(ledgers=()).ledger(0, activation=0.0, weight=9.0)
    assert cause(located(weights, 3, "forward", "Addmm")) is CauseKind.WEIGHT_SCALE_LARGE
    data = run(dies=1).series(Statistic.INPUT_RMS, "net.0", 500.0)
    assert cause(located(data, 1, "forward", "Addmm")) is CauseKind.INPUT_SCALE
    time = run(dies=3).change(ledgers=()).ledger(0, activation=0.0, weight=9.0, steps_in_time=100)
    assert cause(located(time, 3, "forward", "Addmm")) is CauseKind.RECURRENT_JACOBIAN


def test_half_precision_overflow_is_told_from_a_pole() -> None:
    built = run(dies=60)
    assert cause(located(built, 60, "forward", "Addmm", dtype="float16")) is CauseKind.PRECISION
    assert cause(located(run(dies=60), 60, "forward", "Exp", dtype="float16")) is CauseKind.PRECISION
    assert cause(located(run(dies=60), 60, "forward", "Log", dtype="float16")) is CauseKind.LOSS_NUMERICS


def test_epsilon_that_rounds_to_zero_in_float16_is_named() -> None:
    built = run(dies=1, eps=1e-8)
    trace = located(built, 0, "update", "", "", dtype="float16", parameters="net.0.weight, net.2.weight")
    assert cause(trace) is CauseKind.OPTIMIZER_EPSILON
    assert only(trace).parameters == ("net.0.weight", "net.2.weight")


def test_weights_spoilt_after_a_finite_loss_point_at_a_derivative() -> None:
    trace = located(run(dies=61), 60, "update", "", "", parameters="net.0.weight")
    finding = only(trace)
    assert finding.severity is Severity.ERROR
    assert "`net.0.weight`" in finding.message
    assert cause(trace) is CauseKind.LOSS_NUMERICS


def test_unlocated_loss_without_growth_is_an_undefined_loss() -> None:
    trace = run(dies=60).build()
    assert cause(trace) is CauseKind.LOSS_NUMERICS
    assert "was not seen" in only(trace).message


def test_scaler_that_calibrates_is_silent() -> None:
    built = run().event(EventKind.STEP_SKIPPED, 0, count=6, last_step=5)
    built.event(EventKind.NON_FINITE_GRADIENT, 0, count=6, last_step=5, parameters="net.0.weight")
    assert RULE.judge(built.build()) == ()


def test_scaler_that_tries_a_higher_scale_is_silent() -> None:
    built = run().series(Statistic.AMP_SKIPPED, "", lambda step: float(step in (40, 120)))
    built.event(EventKind.NON_FINITE_GRADIENT, 40, count=2, last_step=120)
    losses = [math.inf if step in (40, 120) else 1.0 for step in range(200)]
    assert RULE.judge(built.series(Statistic.LOSS, "", losses).build()) == ()


def test_scaler_does_not_hide_a_loss_that_stays_nan() -> None:
    built = run(dies=60).series(Statistic.AMP_SKIPPED, "", lambda step: float(step >= 60))
    built.event(EventKind.NON_FINITE_GRADIENT, 60, count=140, last_step=199)
    assert only(built.build()).severity is Severity.ERROR


def test_single_batch_without_valid_targets_is_information() -> None:
    losses = [NAN if step == 50 else 2.3 * 0.98**step for step in range(200)]
    built = run().series(Statistic.LOSS, "", losses).event(EventKind.NON_FINITE_LOSS, 50)
    finding = only(built.build())
    assert finding.severity is Severity.INFO
    assert "weights stayed finite" in finding.message


def test_gradients_that_the_script_replaces_are_information() -> None:
    built = run().event(EventKind.NON_FINITE_GRADIENT, 50, parameters="net.0.weight")
    assert only(built.build()).severity is Severity.INFO


def test_finite_runs_are_silent_however_large_their_numbers() -> None:
    assert RULE.judge(run().build()) == ()
    assert RULE.judge(run().series(Statistic.LOSS, "", lambda step: 1e30 * 0.9**step).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()


def test_loss_scale_changes_nothing() -> None:
    scaled = run(dies=60).series(Statistic.LOSS, "", [65536 * 0.98**s if s < 60 else NAN for s in range(200)])
    assert cause(located(scaled, 60, "forward", "Log")) is CauseKind.LOSS_NUMERICS


def test_value_first_seen_behind_a_conversion_left_the_half_precision_format() -> None:
    built = run(dies=1)
    cast = LedgerEntry("net", "ToCopy", EntryKind.SHAPE, NAN)
    built.change(ledgers=tuple(replace(ledger, entries=(cast, *ledger.entries)) for ledger in built.trace.ledgers))
    assert cause(located(built, 1, "forward", "LogSoftmax", "", certainty="likely")) is CauseKind.PRECISION


def test_loss_that_was_nan_itself_is_not_blamed_on_the_update() -> None:
    trace = located(run(dies=60), 60, "update", "", "", parameters="net.0.weight")
    assert only(trace).message_key == "non-finite.unlocated"
    assert cause(trace) is CauseKind.LOSS_NUMERICS
