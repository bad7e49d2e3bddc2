"""When clipping is a hidden cut of the learning rate, and when it is a recipe."""

from __future__ import annotations

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.rules.clipping_saturated import RULE
from tests.builders import TraceBuilder, Values


def run(
    *, coefficient: Values = 0.02, update: float = 2e-4, loss: Values = 2.3, optimizer: str = "SGD", steps: int = 200
) -> TraceBuilder:
    """Return a clipped run."""
    return (
        TraceBuilder(steps=steps)
        .mlp(3)
        .optimizer(optimizer, lr=0.1)
        .series(Statistic.LOSS, "", loss)
        .series(Statistic.GRAD_NORM, "", 1.0)
        .series(Statistic.CLIP_COEF, "", coefficient)
        .series(Statistic.CLIP_MAX_NORM, "", 0.02)
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.UPDATE_RATIO, first=update, last=update)
    )


def falling(step: int) -> float:
    return 2.3 * 0.98**step


def test_bound_far_below_the_norm_that_stalls_sgd_is_a_warning() -> None:
    (finding,) = RULE.judge(run().build())
    assert finding.severity is Severity.WARNING
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_LOW
    assert "0.02" in finding.cause.explanation
    assert "50 times" in finding.message


def test_bound_that_pushes_adam_to_its_epsilon_is_a_warning() -> None:
    built = run(coefficient=1e-7, optimizer="Adam").per_layer(Statistic.EPS_SHARE, first=0.9, last=0.8)
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.WARNING


def test_slow_learning_by_the_clip_is_a_warning_in_a_long_run_too() -> None:
    (finding,) = RULE.judge(run(loss=lambda step: 2.3 - 3e-4 * step, update=9e-5, steps=2000).build())
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("scale", [1.0, 65536.0, 1e-5])
def test_scale_of_the_loss_changes_nothing(scale: float) -> None:
    built = run(loss=2.3 * scale).series(Statistic.GRAD_NORM, "", scale)
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.WARNING


def test_normalised_descent_that_learns_is_information() -> None:
    (finding,) = RULE.judge(run(loss=falling, update=3e-2).build())
    assert finding.severity is Severity.INFO


def test_adam_that_divides_the_factor_out_is_information() -> None:
    built = run(coefficient=1e-3, optimizer="AdamW", loss=falling).per_layer(Statistic.EPS_SHARE, first=1e-3, last=1e-4)
    (finding,) = RULE.judge(built.build())
    assert finding.severity is Severity.INFO


def test_clip_that_holds_an_exploding_net_together_is_information() -> None:
    (finding,) = RULE.judge(run(coefficient=1e-9, update=1e-4).build())
    assert finding.severity is Severity.INFO


def test_weights_that_travel_far_are_not_held_back_by_the_clip() -> None:
    (finding,) = RULE.judge(run(update=5e-3).build())
    assert finding.severity is Severity.INFO


def test_norm_about_the_bound_is_silent() -> None:
    assert RULE.judge(run(coefficient=lambda step: 1.0 if step % 3 else 0.4, loss=1.0).build()) == ()


def test_constant_light_clipping_is_silent() -> None:
    assert RULE.judge(run(coefficient=0.3).build()) == ()


def test_rare_hard_clipping_is_silent() -> None:
    assert RULE.judge(run(coefficient=lambda step: 1e-3 if step % 20 == 0 else 1.0).build()) == ()


def test_gradient_that_is_zero_or_never_clipped_is_silent() -> None:
    assert RULE.judge(run(coefficient=1.0).build()) == ()
    assert RULE.judge(run(coefficient=0.0).build()) == ()
    assert RULE.judge(TraceBuilder(steps=100).mlp(2).build()) == ()


def test_few_clipped_steps_are_no_habit() -> None:
    assert RULE.judge(run(steps=5).build()) == ()
