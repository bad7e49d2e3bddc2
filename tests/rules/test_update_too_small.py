from __future__ import annotations

from collections.abc import Callable

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.update_too_small import RULE
from tests.builders import TraceBuilder
from tests.rules.shapes import (
    SCARY,
    classifier,
    falling,
    mlp,
    multiply_gradients,
    multiply_loss,
    regression,
    stuck,
    verdicts,
)  # fmt: skip


def updates(builder: TraceBuilder, ratio: float) -> TraceBuilder:
    return builder.per_layer(Statistic.UPDATE_RATIO, first=ratio, last=ratio)


def low_rate_sgd() -> Trace:
    return classifier(updates(mlp(3), 2e-8), stuck()).build()


def low_rate_adam() -> Trace:
    return regression(updates(mlp(5, "Tanh", "Adam"), 2e-6), stuck(1.0)).build()


def rate_of_zero() -> Trace:
    builder = mlp(3).series(Statistic.LEARNING_RATE, "0/0", 0.0, steps=[0])
    for site in builder.trace.layers:
        builder.series(Statistic.UPDATE_RATIO, site.parameters[0], 0.0)
    return classifier(builder, stuck()).build()


def loss_below_epsilon() -> Trace:
    builder = updates(mlp(3, optimizer="Adam"), 3e-5).per_layer(Statistic.EPS_SHARE, first=0.999, last=0.99)
    return regression(builder, stuck(1e-9)).build()


def decays_at_once() -> Trace:
    builder = updates(mlp(3, optimizer="AdamW"), 5e-3).series(Statistic.LEARNING_RATE, "0/0", lambda s: 1e-3 * 0.7**s)
    return classifier(builder, stuck()).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    low_rate_sgd: CauseKind.LEARNING_RATE_LOW,
    low_rate_adam: CauseKind.LEARNING_RATE_LOW,
    rate_of_zero: CauseKind.LEARNING_RATE_LOW,
    loss_below_epsilon: CauseKind.OPTIMIZER_EPSILON,
    decays_at_once: CauseKind.LEARNING_RATE_LOW,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is SICK[shape]


@pytest.mark.parametrize("name", SCARY)
def test_raises_no_alarm_on_what_only_looks_bad(name: str) -> None:
    assert RULE.judge(SCARY[name]()) == ()


@pytest.mark.parametrize("shape", SICK)
def test_does_not_depend_on_the_scale_of_gradient_and_loss(shape: Callable[[], Trace]) -> None:
    trace = shape()
    plain = verdicts(RULE.judge(trace))
    assert verdicts(RULE.judge(multiply_gradients(trace, 65536.0))) == plain
    assert verdicts(RULE.judge(multiply_loss(trace, 1e4))) == plain


def test_first_step_is_when_the_rate_had_gone() -> None:
    (finding,) = RULE.judge(decays_at_once())
    assert finding.first_step == 20  # 0.7 ** 20 < 1e-3


def test_one_layer_that_moves_is_enough() -> None:
    builder = updates(mlp(10), 1e-12).series(Statistic.UPDATE_RATIO, "net.18.weight", 1e-3)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_a_long_run_gets_somewhere_with_small_steps() -> None:
    assert RULE.judge(classifier(updates(mlp(3, steps=5000), 1e-6), stuck()).build()) == ()


def test_momentum_that_has_not_built_up_yet_is_allowed_for() -> None:
    builder = mlp(3, steps=150).optimizer("SGD", lr=1e-6, momentum=0.9)
    builder.change(optimizers=builder.trace.optimizers[1:])
    small = updates(builder, 1e-7).per_layer(Statistic.UPDATE_RATIO, first=2e-6, last=2e-6, steps=[0])
    assert (
        RULE.judge(classifier(small, stuck()).build()) == ()
    )  # 2e-6 at step 0 is 2e-5 with momentum: 3e-3 in 150 steps


def test_a_parameter_that_starts_at_zero_does_not_count_as_moving() -> None:
    builder = updates(mlp(3), 2e-8).series(Statistic.UPDATE_RATIO, "net.0.bias", 1.0)
    builder.series(Statistic.WEIGHT_RMS, "net.0.bias", lambda step: 1e-9 * step)
    assert len(RULE.judge(classifier(builder, stuck()).build())) == 1


def test_small_steps_that_improve_the_loss_are_no_fault() -> None:
    assert RULE.judge(classifier(updates(mlp(3), 2e-7), falling(2.3, 1.9)).build()) == ()


def test_runs_of_a_few_steps_are_not_judged() -> None:
    assert RULE.judge(classifier(updates(mlp(3, steps=12), 2e-8), stuck()).build()) == ()
