from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.exploding_gradient import RULE
from tests.rules.shapes import (
    SCARY,
    chain,
    classifier,
    entry,
    falling,
    mlp,
    multiply_gradients,
    multiply_loss,
    recurrent,
    regression,
    stuck,
    verdicts,
)  # fmt: skip

PROBES = (0, 1, 2, 64, 128)


def growing(decades: float, steps: int = 40) -> Callable[[int], float]:
    return lambda step: 10 ** (decades * step / (steps - 1))


def double_he_sgd() -> Trace:
    return classifier(chain((0,), mlp(20), activation=-2.9, weight=8.9), lambda s: 300.0 * 3**s).build()


def unit_normal_adam() -> Trace:
    builder = chain(PROBES, mlp(10, optimizer="Adam"), activation=-1.3, weight=8.1)
    builder.series(Statistic.LOSS, "", lambda s: 1e9 * 0.98**s + 6e6).series(Statistic.CLASSES, "", 10.0, steps=[0])
    return builder.series(Statistic.OUTPUT_RMS, "", 1e9, steps=[0]).build()


def chaotic_tanh_that_dies() -> Trace:
    builder = chain((0,), mlp(40, "Tanh"), activation=-14.0, weight=18.9)
    return classifier(chain((1, 64), builder, activation=-40.0, weight=18.0), stuck(2.36)).build()


def batch_norm_tower() -> Trace:
    builder = mlp(50).change(activations=())
    chain(PROBES, builder, activation=0.0, weight=-11.0)
    norms = [entry("bn", "NativeBatchNorm", EntryKind.NORMALISATION, 15.5, uses=49)]
    ledgers = tuple(replace(x, entries=(*x.entries, *norms), attenuation=4.5) for x in builder.trace.ledgers)
    return classifier(builder.change(ledgers=ledgers), stuck(2.21)).build()


def residual_tower() -> Trace:
    builder = mlp(4).change(activations=())
    chain(PROBES, builder, activation=0.0, weight=-0.2)
    merges = [entry("", "merge", EntryKind.MERGE, 9.2, uses=60)]
    ledgers = tuple(replace(x, entries=(*x.entries, *merges), attenuation=9.0) for x in builder.trace.ledgers)
    return classifier(builder.change(ledgers=ledgers), lambda s: 1e3 * 2.0**s).build()


def recurrence() -> Trace:
    return classifier(recurrent(mlp(2), 15.0, length=100), lambda s: 3e5 * (1 + 0.1 * math.sin(s)), classes=2).build()


def high_rate_before_nan() -> Trace:
    builder = (
        mlp(6, steps=40)
        .series(Statistic.GRAD_NORM, "", growing(6.0))
        .series(Statistic.UPDATE_RATIO, "net.4.weight", 2.0)
    )
    chain((0, 1, 2), builder, activation=-0.7, weight=0.6)
    return regression(builder, lambda s: float(growing(8.0)(s))).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    double_he_sgd: CauseKind.WEIGHT_SCALE_LARGE,
    unit_normal_adam: CauseKind.WEIGHT_SCALE_LARGE,
    chaotic_tanh_that_dies: CauseKind.WEIGHT_SCALE_LARGE,
    batch_norm_tower: CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM,
    residual_tower: CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM,
    recurrence: CauseKind.RECURRENT_JACOBIAN,
    high_rate_before_nan: CauseKind.LEARNING_RATE_HIGH,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is SICK[shape]


@pytest.mark.parametrize("name", SCARY)
def test_raises_no_alarm_on_what_only_looks_bad(name: str) -> None:
    assert [f for f in RULE.judge(SCARY[name]()) if f.severity is not Severity.INFO] == []


@pytest.mark.parametrize("shape", SICK)
def test_does_not_depend_on_the_scale_of_gradient_and_loss(shape: Callable[[], Trace]) -> None:
    trace = shape()
    plain = verdicts(RULE.judge(trace))
    assert verdicts(RULE.judge(multiply_gradients(trace, 65536.0))) == plain
    assert verdicts(RULE.judge(multiply_loss(trace, 1e4))) == plain


def test_climb_is_flagged_while_everything_is_still_finite() -> None:
    trace = high_rate_before_nan()
    assert all(math.isfinite(value) for value in trace.get(Statistic.LOSS).values)
    (finding,) = RULE.judge(trace)
    assert 0 < finding.first_step < 39
    assert finding.evidence[0].measured == pytest.approx(6.0, abs=0.5)


def test_growth_that_training_brought_about_is_blamed_on_the_learning_rate() -> None:
    builder = chain((0,), mlp(6), activation=-0.7, weight=0.6)
    chain((16, 32), builder, activation=-0.7, weight=8.0).series(Statistic.UPDATE_RATIO, "net.4.weight", 0.9)
    (finding,) = RULE.judge(classifier(builder, lambda s: 2.3 * 1.1**s).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_HIGH


def test_data_that_is_too_large_is_blamed_for_a_climb() -> None:
    builder = mlp(6, steps=40).series(Statistic.GRAD_NORM, "", growing(6.0)).series(Statistic.INPUT_RMS, "net.0", 800.0)
    (finding,) = RULE.judge(regression(builder, lambda s: float(growing(8.0)(s))).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.INPUT_SCALE


def test_growth_across_depth_is_information_where_the_run_learns() -> None:
    trace = classifier(chain(PROBES, mlp(40, "Tanh"), activation=-14.0, weight=17.4), falling()).build()
    assert [f.severity for f in RULE.judge(trace)] == [Severity.INFO]


def test_moderate_growth_needs_a_run_that_comes_to_grief() -> None:
    builder = chain(PROBES, mlp(20), activation=-2.9, weight=5.4)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()
    assert len(RULE.judge(classifier(builder, lambda s: 2.3 * 1.2**s).build())) == 1


def test_time_steps_that_explode_only_after_long_updates_are_blamed_on_the_learning_rate() -> None:
    builder = recurrent(mlp(2, optimizer="Adam"), 0.5, steps=(0, 1)).series(Statistic.UPDATE_RATIO, "net.0.weight", 3.0)
    (finding,) = RULE.judge(classifier(recurrent(builder, 20.0, steps=(27, 81)), stuck()).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.LEARNING_RATE_HIGH
    assert finding.first_step == 27


def test_a_spike_at_the_end_is_no_climb() -> None:
    builder = mlp(4).series(Statistic.GRAD_NORM, "", lambda s: 1e5 if s == 299 else 1.0)
    assert RULE.judge(regression(builder, lambda s: 50.0 if s == 299 else 0.5).build()) == ()
