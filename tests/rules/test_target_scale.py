"""When the size of regression targets is a fault, and when a net copes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.target_scale import RULE
from tests.builders import TraceBuilder, Values
from tests.rules.shapes import falling, mlp, stuck

PROBES = [0, 1, 2, 4, 8, 16, 32, 64, 96]


def run(
    target: float,
    spread: float,
    outputs: Sequence[float],
    loss: Values,
    *,
    optimizer: str = "SGD",
    update: float = 1e-3,
) -> TraceBuilder:
    """Return a regression; ``outputs`` are the prediction's sizes at the first and the last probe."""
    first, last = outputs
    path = [first * (last / first) ** (step / PROBES[-1]) for step in PROBES]
    return (
        TraceBuilder(steps=100)
        .mlp(3)
        .optimizer(optimizer, lr=0.01)
        .series(Statistic.LOSS, "", loss)
        .series(Statistic.TARGET_RMS, "", target, steps=PROBES)
        .series(Statistic.TARGET_SPREAD, "", spread, steps=PROBES)
        .series(Statistic.OUTPUT_RMS, "", path, steps=PROBES)
        .series(Statistic.OUTPUT_SPREAD, "", 0.5, steps=PROBES)
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.UPDATE_RATIO, first=update, last=update)
    )


def only(trace: Trace) -> Finding:
    (found,) = RULE.judge(trace)
    assert found.cause is not None
    assert found.cause.kind is CauseKind.TARGET_SCALE
    return found


def test_house_prices_that_tear_the_weights_are_an_error() -> None:
    losses = [4.7e10, 2e14, 3e25, *[math.nan] * 97]
    finding = only(run(2e5, 1e5, (0.1, 1e12), losses, update=500.0).build())
    assert (finding.severity, finding.message_key) == (Severity.ERROR, "target-scale.diverges")


def test_house_prices_out_of_adams_reach_are_an_error() -> None:
    built = run(2e5, 1e5, (0.1, 1.5), lambda step: 4.8e10 - 5e6 * step, optimizer="Adam")
    finding = only(built.build())
    assert (finding.severity, finding.message_key) == (Severity.ERROR, "target-scale.unreached")


def test_years_whose_offset_is_not_reached_are_an_error() -> None:
    built = run(1950.0, 30.0, (0.1, 0.5), lambda step: 3.8e6 - 5e3 * step, optimizer="Adam")
    assert only(built.build()).message_key == "target-scale.unreached"


def test_first_step_that_kills_the_net_is_an_error() -> None:
    finding = only(run(100.0, 99.0, (0.1, 1.0), 1e4, update=1.1).build())
    assert (finding.severity, finding.message_key) == (Severity.ERROR, "target-scale.tears")


def test_targets_that_drown_in_the_first_predictions_are_an_error() -> None:
    built = run(1e-3, 1e-3, (0.08, 0.04), lambda step: 6e-3 * 0.99**step)
    assert only(built.build()).message_key == "target-scale.buried"


@pytest.mark.parametrize("scale", [65536.0, 1e-6])
def test_scale_of_the_loss_changes_nothing(scale: float) -> None:
    assert only(run(100.0, 99.0, (0.1, 1.0), 1e4 * scale, update=1.1).build()).severity is Severity.ERROR


def test_large_targets_that_are_learned_are_silent() -> None:
    assert RULE.judge(run(100.0, 99.0, (0.1, 80.0), lambda s: 1e4 * 0.96**s, optimizer="Adam").build()) == ()


def test_noise_of_unit_size_is_silent() -> None:
    assert RULE.judge(run(1.0, 1.0, (0.1, 0.05), 1.0).build()) == ()


def test_large_noise_under_a_sound_rate_is_silent() -> None:
    assert RULE.judge(run(100.0, 100.0, (0.1, 0.1), 1e4, optimizer="Adam").build()) == ()


def test_learning_rate_that_would_ruin_unit_targets_too_is_not_the_targets_fault() -> None:
    assert RULE.judge(run(20.0, 20.0, (0.1, 1e9), lambda step: 400.0 * 1.5**step, update=50.0).build()) == ()


def test_small_targets_that_are_met_are_silent() -> None:
    assert RULE.judge(run(1e-3, 1e-3, (0.08, 1e-3), lambda step: 6e-3 * 0.9**step).build()) == ()


def test_small_noise_whose_mean_is_met_is_silent() -> None:
    assert RULE.judge(run(1e-3, 1e-3, (2e-3, 3e-4), 1e-6).build()) == ()


def test_sudden_nan_in_a_run_that_learned_is_not_the_targets_fault() -> None:
    losses = [1e4 * 0.96**step if step < 60 else math.nan for step in range(100)]
    assert RULE.judge(run(100.0, 99.0, (0.1, 80.0), losses, optimizer="Adam").build()) == ()


def test_classifiers_and_empty_traces_are_silent() -> None:
    assert RULE.judge(TraceBuilder(steps=100).mlp(3).series(Statistic.LOSS, "", 2.3).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()


def test_targets_of_a_binary_cross_entropy_above_one_are_a_fault_although_the_loss_falls() -> None:
    built = mlp(3).series(Statistic.LOSS, "", falling(-4.0, -8e9)).series(Statistic.BINARY_TARGET_RMS, "", 7.7)
    (finding,) = RULE.judge(built.build())
    assert finding.message_key == "target-scale.beyond"
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize("size", [0.0, 0.05, 0.7, 1.0])
def test_probabilities_as_targets_are_silent_even_if_the_run_is_stuck(size: float) -> None:
    built = mlp(3).series(Statistic.LOSS, "", stuck(0.7)).series(Statistic.BINARY_TARGET_RMS, "", size)
    assert RULE.judge(built.series(Statistic.OUTPUT_RMS, "", 0.3).build()) == ()
