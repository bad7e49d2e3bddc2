"""When an update was too large, and when it only looks so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.info import ModuleInfo, ParamInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.update_too_large import RULE
from tests.builders import TraceBuilder

Losses = Sequence[float] | Callable[[int], float]
EARLY = [0, 1, 2, 4]


def run(
    loss: Losses, updates: Sequence[float], *, optimizer: str = "SGD", lr: float = 1.0, **group: float
) -> TraceBuilder:
    """Return a classifier of ten classes whose second layer moves by ``updates`` at the first probes."""
    return (
        TraceBuilder(steps=100)
        .mlp(3)
        .optimizer(optimizer, lr=lr, **group)
        .series(Statistic.LOSS, "", loss)
        .series(Statistic.CLASSES, "", 10.0, steps=[0])
        .series(Statistic.OUTPUT_RMS, "", 2.3, steps=[0])
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.UPDATE_RATIO, first=1e-2, last=1e-2, steps=EARLY[: len(updates)])
        .series(Statistic.UPDATE_RATIO, "net.2.weight", updates, steps=EARLY[: len(updates)])
    )


def stuck_after_a_jump(step: int) -> float:
    return 2.31 if step == 0 else 2.33 + 200.0 * math.exp(-step)


def plateau(step: int) -> float:
    return 2.303 + 0.02 * (-1) ** step


def learns(step: int) -> float:
    return 2.3 * 0.96**step


def only(trace: Trace) -> Finding:
    (found,) = RULE.judge(trace)
    assert found.cause is not None
    return found


def test_jump_to_chance_is_an_error_of_the_learning_rate() -> None:
    finding = only(run(stuck_after_a_jump, [4.0, 0.7, 0.4, 0.2], optimizer="Adam").build())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_HIGH
    assert finding.parameters == ("net.2.weight",)
    assert finding.modules == ("net.2",)
    assert (finding.first_step, "2.31" in finding.message) == (0, True)


def test_divergence_is_an_error() -> None:
    finding = only(run(lambda step: 2.3 * 1.1**step, [0.1, 0.2, 0.4, 0.9]).build())
    assert finding.severity is Severity.ERROR
    assert finding.first_step == 2
    lost = [2.3, 8.0, 50.0, 900.0, 1e6, 1e12, *[math.nan] * 94]
    assert only(run(lost, [1.1, 5.0]).build()).severity is Severity.ERROR


def test_oscillation_by_sizeable_steps_is_reported() -> None:
    finding = only(run(lambda step: 2.3 + (step > 0) * 2.5 * abs(math.sin(step)), [0.2, 0.25, 0.2, 0.22]).build())
    assert finding.severity is Severity.ERROR


def test_large_update_without_a_jump_is_a_warning() -> None:
    assert only(run(plateau, [0.45, 0.3, 0.2, 0.1], optimizer="Adam").build()).severity is Severity.WARNING


@pytest.mark.parametrize("scale", [65536.0, 1e-4])
def test_scale_of_the_loss_changes_nothing(scale: float) -> None:
    built = run(lambda step: scale * stuck_after_a_jump(step), [4.0, 0.7, 0.4, 0.2])
    assert only(built.build()).severity is Severity.ERROR


def attention(built: TraceBuilder) -> TraceBuilder:
    """Put attention into the model, and samples that merge with the first updates."""
    built.change(modules=(*built.trace.modules, ModuleInfo("net.9", "MultiheadAttention")))
    return built.series(Statistic.DISTINGUISHABILITY, "net.4", [0.13, 0.004], steps=[0, 1])


def test_samples_that_merge_at_the_first_step_miss_a_warm_up() -> None:
    finding = only(attention(run(plateau, [0.14, 0.09], optimizer="Adam", lr=3e-3)).build())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.WARMUP_MISSING
    assert finding.modules == ("net.4",)
    assert "32" in finding.message


def test_warm_up_that_was_there_leaves_the_rate_itself() -> None:
    built = attention(run(plateau, [0.14, 0.09], optimizer="Adam", lr=3e-3))
    built.series(Statistic.LEARNING_RATE, "0/0", [1e-5, 1e-3, 3e-3], steps=[0, 10, 30])
    finding = only(built.build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_HIGH


def test_early_jump_that_the_run_recovers_from_is_silent() -> None:
    assert (
        RULE.judge(run(lambda s: 2.3 if s == 0 else 9.0 * 0.94**s, [1.4, 0.6, 0.3, 0.2], optimizer="Adam").build())
        == ()
    )


def test_unlearnable_labels_at_a_sound_rate_are_silent() -> None:
    assert RULE.judge(run(plateau, [0.02, 0.03, 0.02, 0.02]).build()) == ()
    assert RULE.judge(run(plateau, [0.12, 0.2, 0.2, 0.2]).build()) == ()  # normalised layers bear such steps


def test_tensors_that_begin_at_zero_are_left_out() -> None:
    built = run(plateau, [0.01, 0.01]).series(Statistic.WEIGHT_RMS, "net.2.weight", [0.0, 1e-4], steps=[0, 1])
    assert RULE.judge(built.series(Statistic.UPDATE_RATIO, "net.2.weight", [9.0], steps=[1]).build()) == ()


def test_biases_and_gains_are_left_out() -> None:
    built = run(plateau, [0.01, 0.01]).series(Statistic.WEIGHT_RMS, "net.2.bias", 0.01)
    assert RULE.judge(built.series(Statistic.UPDATE_RATIO, "net.2.bias", 5.0).build()) == ()


def test_sudden_nan_in_a_run_that_learned_is_silent() -> None:
    losses = [learns(step) if step < 60 else math.nan for step in range(100)]
    assert RULE.judge(run(losses, [0.4, 0.3, 0.2, 0.1], optimizer="Adam").build()) == ()


def test_net_that_could_not_tell_samples_apart_from_the_start_is_not_the_rates_fault() -> None:
    built = run(plateau, [0.01, 0.01]).series(Statistic.DISTINGUISHABILITY, "net.4", [1e-9, 1e-12], steps=[0, 1])
    assert RULE.judge(built.build()) == ()


def test_slow_merging_over_a_run_that_learns_is_silent() -> None:
    built = run(learns, [0.01, 0.01]).series(Statistic.DISTINGUISHABILITY, "net.4", [0.5, 1e-3], steps=[0, 1])
    assert RULE.judge(built.build()) == ()


def test_missing_evidence_is_silent() -> None:
    assert RULE.judge(TraceBuilder(steps=100).mlp(3).series(Statistic.LOSS, "", plateau).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()
    lone = TraceBuilder(steps=100).change(parameters=(ParamInfo("w", (4, 4), "float32"),))
    assert RULE.judge(lone.series(Statistic.UPDATE_RATIO, "w", 9.0).build()) == ()


def test_rate_is_that_of_the_optimizer_at_work() -> None:
    built = run(stuck_after_a_jump, [4.0, 0.7], lr=0.3).optimizer("Adam", lr=7.0)
    found = only(built.build()).cause
    assert found is not None
    assert "0.3" in found.explanation


def test_samples_that_merge_at_one_probe_only_are_no_collapse() -> None:
    built = run(plateau, [0.01]).series(
        Statistic.DISTINGUISHABILITY, "net.4", [0.01, 0.01, 0.0, 0.01], steps=[0, 1, 2, 4]
    )
    assert RULE.judge(built.build()) == ()


def test_first_steps_of_rmsprop_are_judged_as_with_a_full_running_mean() -> None:
    updates = [0.93, 0.55, 0.4, 0.3]
    assert RULE.judge(run(plateau, updates, optimizer="RMSprop", lr=0.01, alpha=0.99).build()) == ()
    assert only(run(stuck_after_a_jump, [14.0, 8.0, 5.0, 3.0], optimizer="RMSprop", lr=0.1, alpha=0.99).build())


def thrown_off(step: int) -> float:
    return 2.3 * 0.93**step if step < 60 else 400.0 * math.exp(60 - step) + 2.5


def test_a_rise_of_the_rate_that_ends_a_steady_run_is_found_without_any_probe() -> None:
    builder = run(thrown_off, [1e-2], optimizer="Adam", lr=1e-3)
    finding = only(builder.series(Statistic.LEARNING_RATE, "0/0", [1e-3, 1.0], steps=[0, 64]).build())
    assert finding.message_key == "update-too-large.raised"
    assert finding.first_step == 60


def test_a_jump_at_an_unchanged_rate_is_not_the_rate_s() -> None:
    trace = run(thrown_off, [1e-2], optimizer="Adam", lr=1e-3).series(Statistic.LEARNING_RATE, "0/0", [1e-3], steps=[0])
    assert RULE.judge(trace.build()) == ()


def test_a_raised_rate_that_a_run_survives_is_none() -> None:
    def dips(step: int) -> float:
        return 2.3 * 0.93**step + (40.0 if step == 60 else 0.0)

    trace = run(dips, [1e-2], optimizer="Adam", lr=1e-3).series(
        Statistic.LEARNING_RATE, "0/0", [1e-3, 1.0], steps=[0, 60]
    )
    assert RULE.judge(trace.build()) == ()
