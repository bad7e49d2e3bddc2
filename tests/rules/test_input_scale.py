"""When the size of the data is a fault, and when a net copes with it."""

from __future__ import annotations

import math

import pytest

from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.input_scale import RULE
from tests.builders import TraceBuilder, Values


def run(
    *, rms: float, largest: float | None = None, behind: float = 0.7, loss: Values = 2.303, optimizer: str = "SGD"
) -> TraceBuilder:
    """Return a classifier of three layers on data of size ``rms``, of size ``behind`` before its second layer."""
    built = TraceBuilder(steps=100).mlp(3, "Tanh").optimizer(optimizer, lr=0.05).series(Statistic.LOSS, "", loss)
    for depth, (layer, size) in enumerate(zip(("net.0", "net.2", "net.4"), (rms, behind, behind), strict=True)):
        built.series(Statistic.DEPTH, layer, float(depth)).series(Statistic.INPUT_RMS, layer, size)
        built.series(Statistic.DISTINGUISHABILITY, layer, 0.5)
    return (
        built.series(Statistic.INPUT_MAX, "net.0", 3 * rms if largest is None else largest)
        .per_activation(Statistic.SATURATED, 0.05)
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.UPDATE_RATIO, first=1e-3, last=1e-3)
    )


def only(trace: Trace) -> Finding:
    (found,) = RULE.judge(trace)
    assert found.cause is not None
    assert found.cause.kind is CauseKind.INPUT_SCALE
    assert found.modules == ("net.0",)
    return found


def learns(step: int) -> float:
    return 2.3 * 0.96**step


def crawls(step: int) -> float:
    return 2.3 - 0.006 * step


def test_raw_inputs_that_saturate_the_first_tanh_are_an_error() -> None:
    finding = only(run(rms=580.0).per_activation(Statistic.SATURATED, 0.994).build())
    assert finding.severity is Severity.ERROR
    assert "99 %" in finding.message
    assert finding.cause is not None
    assert finding.cause.share > 0.9
    assert finding.source[0].line == 12


def test_saturated_run_that_crawls_is_a_warning() -> None:
    finding = only(run(rms=100.0, loss=crawls).per_activation(Statistic.SATURATED, 0.95).build())
    assert finding.severity is Severity.WARNING


def test_inputs_that_tear_the_first_layer_at_once_are_an_error() -> None:
    losses = [136.0, 9e4, 3e9, 1e19, *[math.nan] * 96]
    built = run(rms=100.0, behind=95.0, loss=losses).series(Statistic.UPDATE_RATIO, "net.0.weight", [80.0], steps=[0])
    assert only(built.build()).message_key == "input-scale.bursts"


def test_inputs_that_pass_through_to_the_loss_are_an_error() -> None:
    assert only(run(rms=1000.0, behind=400.0).build()).message_key == "input-scale.passes"


def test_tiny_inputs_that_drown_in_the_biases_are_an_error() -> None:
    built = run(rms=1e-4).series(Statistic.DISTINGUISHABILITY, "net.2", 1e-7)
    assert only(built.build()).message_key == "input-scale.drowns"


def test_tiny_inputs_that_starve_the_first_layer_are_an_error() -> None:
    built = run(rms=1e-3).series(Statistic.UPDATE_RATIO, "net.0.weight", 1e-7)
    assert only(built.build()).message_key == "input-scale.starves"


def test_features_of_wildly_different_sizes_stall_sgd() -> None:
    built = run(rms=1.0).series(Statistic.FEATURE_SPREAD, "net.0", 5000.0)
    finding = only(built.build())
    assert finding.message_key == "input-scale.spreads"


@pytest.mark.parametrize("scale", [65536.0, 1e-6])
def test_scale_of_the_loss_changes_nothing(scale: float) -> None:
    built = run(rms=580.0, loss=2.303 * scale).per_activation(Statistic.SATURATED, 0.994)
    assert only(built.build()).severity is Severity.ERROR


def test_raw_pixels_that_train_under_adam_are_silent() -> None:
    assert RULE.judge(run(rms=120.0, behind=60.0, loss=learns, optimizer="Adam").build()) == ()
    saturated = run(rms=120.0, loss=learns).per_activation(Statistic.SATURATED, 0.98)
    assert RULE.judge(saturated.build()) == ()


def test_raw_pixels_behind_a_normalisation_are_silent_even_on_unlearnable_labels() -> None:
    assert RULE.judge(run(rms=120.0, behind=0.8).build()) == ()


def test_sparse_words_are_not_small() -> None:
    built = run(rms=0.01, largest=1.0).series(Statistic.DISTINGUISHABILITY, "net.2", 1e-5)
    assert RULE.judge(built.build()) == ()


def test_small_inputs_that_are_still_told_apart_are_silent() -> None:
    assert RULE.judge(run(rms=0.05, largest=0.2).build()) == ()


def test_spread_of_features_is_no_fault_for_adam_or_in_a_run_that_learns() -> None:
    assert RULE.judge(run(rms=1.0, optimizer="Adam").series(Statistic.FEATURE_SPREAD, "net.0", 5000.0).build()) == ()
    assert RULE.judge(run(rms=1.0, loss=learns).series(Statistic.FEATURE_SPREAD, "net.0", 5000.0).build()) == ()


def test_weights_that_are_too_large_are_the_initialisations_fault() -> None:
    built = run(rms=12.0, behind=200.0).series(Statistic.WEIGHT_RMS, "net.0.weight", 10.0)
    assert RULE.judge(built.build()) == ()


def test_unit_data_in_a_run_that_fails_are_silent() -> None:
    assert RULE.judge(run(rms=1.0).per_activation(Statistic.SATURATED, 0.99).build()) == ()


def test_sudden_nan_in_a_run_that_learned_is_not_the_datas_fault() -> None:
    losses = [learns(step) if step < 60 else math.nan for step in range(100)]
    assert RULE.judge(run(rms=120.0, behind=60.0, loss=losses).build()) == ()


def test_missing_evidence_is_silent() -> None:
    assert RULE.judge(TraceBuilder(steps=100).mlp(3).series(Statistic.LOSS, "", 2.3).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()


def test_tiny_inputs_of_a_net_without_biases_leave_the_prediction_constant() -> None:
    built = run(rms=1e-5, behind=1e-5).series(Statistic.OUTPUT_SPREAD, "", 6e-7)
    assert only(built.build()).message_key == "input-scale.faint"


def test_constant_prediction_that_larger_data_would_not_change_is_not_their_fault() -> None:
    assert RULE.judge(run(rms=0.05, largest=0.2).series(Statistic.OUTPUT_SPREAD, "", 1e-6).build()) == ()


def test_idle_optimizer_beside_does_not_count() -> None:
    built = run(rms=1.0).optimizer("Adam", lr=1e-3).series(Statistic.FEATURE_SPREAD, "net.0", 5000.0)
    assert only(built.build()).message_key == "input-scale.spreads"
