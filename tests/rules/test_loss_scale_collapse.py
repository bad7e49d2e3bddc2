"""When a loss scale collapses, and when it only looks for its place."""

from __future__ import annotations

import math
from dataclasses import replace

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.rules.loss_scale_collapse import RULE
from tests.builders import TraceBuilder


def run(skipped: set[int], *, steps: int = 100, start: float = 65536.0) -> TraceBuilder:
    """Return a run whose scaler halves at each skipped step."""
    scales = [start * 0.5 ** sum(step <= now for step in skipped) for now in range(steps)]
    return (
        TraceBuilder(steps=steps)
        .mlp(2)
        .optimizer("SGD", lr=0.1)
        .series(Statistic.LOSS, "", 1.0)
        .series(Statistic.AMP_SKIPPED, "", lambda step: float(step in skipped))
        .series(Statistic.LOSS_SCALE, "", scales)
    )


def test_scale_that_falls_below_one_is_an_error() -> None:
    built = run(set(range(40, 100)))
    built.change(layers=tuple(replace(site, dtype="float16") for site in built.trace.layers))
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.PRECISION
    assert (finding.first_step, finding.last_step) == (40, 99)
    assert "60 of 100 steps" in finding.message


def test_short_run_in_which_every_step_is_skipped_is_an_error() -> None:
    (finding,) = RULE.judge(run(set(range(20)), steps=20).build())
    assert finding.severity is Severity.ERROR


def test_skipping_without_end_is_an_error_before_the_scale_is_gone() -> None:
    (finding,) = RULE.judge(run(set(range(88, 100)), start=2.0**30).build())
    assert finding.severity is Severity.ERROR


def test_loss_that_is_nan_by_itself_is_named_as_cause() -> None:
    built = run(set(range(40, 100))).series(Statistic.LOSS, "", [1.0 if s < 40 else math.nan for s in range(100)])
    (finding,) = RULE.judge(built.build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LOSS_NUMERICS


def test_every_second_step_skipped_throughout_is_a_warning() -> None:
    (finding,) = RULE.judge(run(set(range(0, 100, 2)), start=2.0**80).build())
    assert finding.severity is Severity.WARNING


def test_skipped_steps_known_from_events_alone_count() -> None:
    built = run(set()).series(Statistic.LOSS_SCALE, "", [65536.0, 0.5], steps=[0, 99])
    built = built.event(EventKind.STEP_SKIPPED, 70, count=30, last_step=99)
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.ERROR


def test_calibration_is_silent() -> None:
    assert RULE.judge(run(set(range(12))).build()) == ()
    assert RULE.judge(run(set(range(18)), start=2.0**24).build()) == ()


def test_now_and_then_a_try_of_a_higher_scale_is_silent() -> None:
    assert RULE.judge(run({50, 99}).build()) == ()
    assert RULE.judge(run(set(range(0, 1000, 100)), steps=1000, start=2.0**20).build()) == ()


def test_low_scale_that_rests_is_silent() -> None:
    assert RULE.judge(run({0, 1, 2}, start=4.0).build()) == ()


def test_run_without_a_scaler_is_silent() -> None:
    assert RULE.judge(TraceBuilder(steps=50).mlp(2).build()) == ()


def test_last_steps_of_a_calibration_cut_short_are_silent() -> None:
    assert RULE.judge(run(set(range(8)), steps=8).build()) == ()


def test_run_whose_steps_stand_still_is_counted_by_its_events() -> None:
    built = TraceBuilder(steps=0).event(EventKind.STEP_SKIPPED, 0, count=120, last_step=0)
    (finding,) = RULE.judge(built.series(Statistic.LOSS_SCALE, "", [65536.0, 1e-30], steps=[-1, 0]).build())
    assert "120 of 120 steps" in finding.message


def test_scale_that_falls_without_any_half_precision_speaks_for_a_derivative() -> None:
    (finding,) = RULE.judge(run(set(range(40, 100))).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LOSS_NUMERICS
