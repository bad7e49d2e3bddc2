"""Which jumps of the gradient did harm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.gradient_spike import RULE
from tests.builders import TraceBuilder

STEPS = 400
NOISE = np.random.default_rng(0).normal(size=STEPS)


def norms(spikes: dict[int, float]) -> list[float]:
    """Return noisy norms of about 1 that jump by the given factors."""
    return [math.exp(0.2 * NOISE[step]) * spikes.get(step, 1.0) for step in range(STEPS)]


def losses(*, after: float = 1.0, at: int = 200, length: int = STEPS, level: float = 0.5) -> list[float]:
    """Return a loss that falls from 2.3 to ``level``, and stands ``after`` times as high for a while after ``at``."""
    course = [level + (2.3 - level) * 0.95**step + 0.02 * level * NOISE[step] for step in range(STEPS)]
    return [value * after if at < step <= at + length else value for step, value in enumerate(course)]


def run(spikes: dict[int, float], course: list[float]) -> TraceBuilder:
    """Return a run with these norms and losses."""
    return (
        TraceBuilder(steps=STEPS)
        .mlp(3)
        .optimizer("Adam", lr=1e-3)
        .series(Statistic.LOSS, "", course)
        .series(Statistic.GRAD_NORM, "", norms(spikes))
    )


def only(trace: Trace) -> Finding:
    (found,) = RULE.judge(trace)
    assert found.cause is not None
    return found


def test_jump_from_which_the_loss_does_not_come_back_is_an_error() -> None:
    finding = only(run({200: 100.0}, losses(after=4.0)).build())
    assert finding.severity is Severity.ERROR
    assert finding.first_step == 200
    assert finding.message_key == "gradient-spike.lost"


def test_jump_that_costs_a_part_of_the_run_is_a_warning() -> None:
    finding = only(run({200: 60.0}, losses(after=4.0, length=60)).build())
    assert finding.severity is Severity.WARNING
    assert "needs 6" in finding.message


def test_jump_that_costs_little_is_information() -> None:
    assert only(run({200: 60.0}, losses(after=4.0, length=14)).build()).severity is Severity.INFO


def test_jump_over_several_steps_is_one_spike() -> None:
    finding = only(run({200: 50.0, 201: 80.0, 202: 90.0}, losses(after=4.0)).build())
    assert finding.first_step == finding.last_step == 200


def test_jumps_again_and_again_speak_for_the_learning_rate() -> None:
    finding = only(run({100: 90.0, 200: 90.0, 300: 90.0}, losses(after=4.0, length=80)).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_HIGH


def test_single_jump_on_a_batch_that_was_bad_before_any_update_speaks_for_the_data() -> None:
    course = losses(after=4.0)
    course[200] = 30.0
    finding = only(run({200: 300.0}, course).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.DATA


def test_jump_in_a_recurrent_layer_speaks_for_its_jacobian() -> None:
    built = run({200: 300.0}, losses(after=4.0)).ledger(0, weight=1.0, steps_in_time=50)
    finding = only(built.build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.RECURRENT_JACOBIAN


def test_parameter_that_jumped_most_is_named() -> None:
    built = run({200: 100.0}, losses(after=4.0))
    built.series(Statistic.GRAD_RMS, "net.0.weight", lambda step: 1.0 if step == 200 else 1e-3)
    built.series(Statistic.GRAD_RMS, "net.4.weight", lambda step: 2e-3 if step == 200 else 1e-3)
    finding = only(built.build())
    assert (finding.parameters, finding.modules) == (("net.0.weight",), ("net.0",))


@pytest.mark.parametrize("scale", [65536.0, 1e-5])
def test_scale_of_the_loss_changes_nothing(scale: float) -> None:
    built = run({200: 100.0}, [scale * value for value in losses(after=4.0)])
    built.series(Statistic.GRAD_NORM, "", [scale * value for value in norms({200: 100.0})])
    assert only(built.build()).severity is Severity.ERROR


def test_sampled_norms_suffice() -> None:
    built = run({200: 100.0}, losses(after=4.0))
    kept = [*range(10), *range(10, STEPS, 10)]
    built.series(Statistic.GRAD_NORM, "", [norms({200: 100.0})[step] for step in kept], steps=kept)
    assert only(built.build()).first_step == 200


def test_spike_that_the_run_shrugs_off_is_silent() -> None:
    assert RULE.judge(run({200: 100.0}, losses()).build()) == ()
    assert RULE.judge(run({200: 100.0}, losses(after=4.0, length=6)).build()) == ()


def test_spike_that_undoes_next_to_nothing_is_silent() -> None:
    assert RULE.judge(run({200: 100.0}, losses(after=100.0, level=1e-5)).build()) == ()


def test_ordinary_heavy_tail_is_silent() -> None:
    assert RULE.judge(run({200: 4.0}, losses(after=4.0)).build()) == ()


def test_loss_that_rises_without_a_spike_is_another_rules() -> None:
    assert RULE.judge(run({}, losses(after=4.0)).build()) == ()


def test_spike_before_any_history_is_silent() -> None:
    assert RULE.judge(run({5: 100.0}, losses(after=4.0, at=5)).build()) == ()


def test_spike_at_the_very_end_is_not_judged() -> None:
    assert RULE.judge(run({397: 100.0}, losses(after=4.0, at=397)).build()) == ()


def test_norms_of_zero_and_missing_norms_are_silent() -> None:
    built = TraceBuilder(steps=100).mlp(2).series(Statistic.LOSS, "", 1.0)
    assert RULE.judge(built.build()) == ()
    assert RULE.judge(built.series(Statistic.GRAD_NORM, "", lambda s: 5.0 if s == 50 else 0.0).build()) == ()
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()


def test_loss_below_zero_is_judged_by_what_was_gained() -> None:
    falling = [2.0 - 5.0 * (1 - 0.97**step) for step in range(STEPS)]
    thrown_back = [value if step <= 200 else 1.5 for step, value in enumerate(falling)]
    assert only(run({200: 100.0}, thrown_back).build()).severity is Severity.ERROR
    assert RULE.judge(run({200: 100.0}, falling).build()) == ()


def unmeasured(course: list[float]) -> TraceBuilder:
    """Return a run whose norms were not measured between steps 150 and 250."""
    kept = [*range(150), *range(250, STEPS)]
    return run({}, course).series(Statistic.GRAD_NORM, "", [norms({})[step] for step in kept], steps=kept)


def test_batch_of_a_jumping_loss_stands_for_a_norm_that_was_not_measured() -> None:
    course = losses(after=4.0)
    course[200] = 3000.0
    finding = only(unmeasured(course).build())
    assert (finding.severity, finding.first_step) == (Severity.ERROR, 200)
    assert finding.message_key == "gradient-spike.batch-lost"
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.DATA


def test_batch_of_a_jumping_loss_without_harm_is_silent() -> None:
    course = losses()
    course[200] = 3000.0
    assert RULE.judge(unmeasured(course).build()) == ()


def test_change_of_the_task_is_no_spike() -> None:
    assert RULE.judge(unmeasured(losses(after=8.0)).build()) == ()
    second_task = [7.0 * 0.97 ** (step - 200) if step >= 200 else value for step, value in enumerate(losses())]
    assert RULE.judge(unmeasured(second_task).build()) == ()


def switched(course: list[float]) -> TraceBuilder:
    """Return a run whose norms rise together with its loss from step 200 on."""
    return run(dict.fromkeys(range(200, STEPS), 30.0), course)


def test_second_stage_that_learns_is_no_spike_though_norm_and_loss_jump() -> None:
    stage = [9.0 * 0.97 ** (step - 200) if step >= 200 else value for step, value in enumerate(losses())]
    assert RULE.judge(switched(stage).build()) == ()


def test_second_optimizer_explains_a_new_level_that_stays() -> None:
    stage = [9.0 if step >= 200 else value for step, value in enumerate(losses())]
    assert only(switched(stage).build()).severity is Severity.ERROR
    second = switched(stage).series(Statistic.LEARNING_RATE, "1/0", 1e-3, steps=[200])
    assert RULE.judge(second.build()) == ()
