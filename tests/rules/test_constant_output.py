from __future__ import annotations

from collections.abc import Callable

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.constant_output import RULE
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

PROBES = [0, 1, 2, 64, 128]


def spread(builder: TraceBuilder, values: Callable[[int], float] | float) -> TraceBuilder:
    return builder.series(Statistic.OUTPUT_SPREAD, "", values, steps=PROBES)


def behind_dead_units() -> Trace:
    builder = mlp(4).series(Statistic.DEAD, "net.3", 1.0).series(Statistic.DEAD_SAMPLES, "net.3", 2000.0)
    return spread(classifier(builder, stuck()), 0.0).build()


def rectified_output() -> Trace:
    builder = regression(mlp(3).activations("net.5"), stuck(17.0)).series(Statistic.SATURATED, "net.5", 1.0)
    return spread(builder, lambda step: 0.8 if step == 0 else 0.0).build()


def softmax_of_one() -> Trace:
    return spread(mlp(3).series(Statistic.LOSS, "", stuck(50.0)), 0.0).build()


def collapsed_by_rate() -> Trace:
    builder = classifier(mlp(4, optimizer="Adam"), stuck()).series(Statistic.UPDATE_RATIO, "net.2.weight", 4.0)
    return spread(builder, lambda step: 0.3 if step == 0 else 1e-6).build()


def same_data() -> Trace:
    builder = classifier(mlp(4), stuck()).per_layer(Statistic.DISTINGUISHABILITY, first=1e-14, last=1e-14)
    return spread(builder, 0.0).build()


def faint_data() -> Trace:
    builder = classifier(mlp(4), stuck()).per_layer(Statistic.INPUT_RMS, first=1.6e-5, last=5e-6)
    return spread(builder, 6e-7).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    behind_dead_units: CauseKind.DEAD_UNITS,
    rectified_output: CauseKind.OUTPUT_ACTIVATION,
    softmax_of_one: CauseKind.OUTPUT_ACTIVATION,
    collapsed_by_rate: CauseKind.LEARNING_RATE_HIGH,
    same_data: CauseKind.DATA,
    faint_data: CauseKind.INPUT_SCALE,
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


def test_first_step_is_when_the_output_became_constant() -> None:
    (finding,) = RULE.judge(collapsed_by_rate())
    assert finding.first_step == 1


def test_a_last_layer_that_answers_nearly_the_same_at_first_is_no_fault() -> None:
    assert RULE.judge(spread(classifier(mlp(12, "Tanh"), stuck()), 3e-4).build()) == ()


def test_an_output_that_varies_again_is_no_fault() -> None:
    builder = classifier(mlp(4).series(Statistic.UPDATE_RATIO, "net.2.weight", 4.0), stuck())
    assert RULE.judge(spread(builder, lambda step: 1e-6 if step == 1 else 0.3).build()) == ()


def test_a_constant_first_answer_of_a_run_that_learns_is_no_fault() -> None:
    assert RULE.judge(spread(classifier(mlp(4), falling()), 0.0).build()) == ()


def test_a_zero_last_layer_is_left_to_the_initialisation() -> None:
    builder = mlp(3).series(Statistic.LOSS, "", stuck(2.3)).series(Statistic.WEIGHT_RMS, "net.4.weight", 0.0)
    assert RULE.judge(spread(builder, 0.0).build()) == ()


def decaying(loss: Callable[[int], float], coefficient: float, last: float) -> Trace:
    builder = TraceBuilder(steps=300).mlp(3).optimizer("SGD", lr=0.1, weight_decay=coefficient)
    for layer in ("net.0", "net.2", "net.4"):
        sizes = [0.07, 0.07 * last]
        builder.series(Statistic.WEIGHT_RMS, f"{layer}.weight", sizes, steps=[0, 200])
    return classifier(builder, loss).build()


def test_weights_that_decay_took_away_are_the_cause_of_a_run_that_is_stuck() -> None:
    (finding,) = RULE.judge(decaying(stuck(), 1.0, 0.01))
    assert finding.cause is not None
    assert (finding.cause.kind, finding.cause.key) == (CauseKind.WEIGHT_SCALE_SMALL, "constant-output.cause-decay")


@pytest.mark.parametrize(
    ("loss", "coefficient", "last"), [(falling(), 1.0, 0.01), (stuck(), 1e-4, 0.01), (stuck(), 1.0, 0.5)]
)
def test_decay_is_not_to_blame_where_the_run_learns_or_decay_did_not_do_it(
    loss: Callable[[int], float], coefficient: float, last: float
) -> None:
    assert RULE.judge(decaying(loss, coefficient, last)) == ()
