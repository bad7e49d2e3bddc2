from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.vanishing_gradient import RULE
from tests.builders import deep_sigmoid
from tests.rules.shapes import (
    SCARY,
    blocked,
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


def sigmoid_sgd() -> Trace:
    builder = mlp(10, "Sigmoid").per_layer(Statistic.GRAD_RMS, first=1e-10, last=1e-3)
    return classifier(chain(PROBES, builder, activation=-5.4, weight=-2.1), stuck()).build()


def default_relu_sgd() -> Trace:
    builder = mlp(20).per_layer(Statistic.GRAD_RMS, first=1e-10, last=1e-3)
    return classifier(chain(PROBES, builder, activation=-2.9, weight=-4.6), stuck()).build()


def tiny_tanh_sgd() -> Trace:
    builder = mlp(20, "Tanh").per_layer(Statistic.GRAD_RMS, first=1e-18, last=1e-3)
    return classifier(chain(PROBES, builder, activation=-0.1, weight=-15.0), stuck()).build()


def default_gelu_adam() -> Trace:
    builder = mlp(40, "Gelu", "Adam").per_layer(Statistic.EPS_SHARE, first=0.99, last=1e-4)
    return regression(chain(PROBES, builder, activation=-11.0, weight=-9.3), stuck(1.0)).build()


def linear_adam_that_fades() -> Trace:
    builder = mlp(30, optimizer="Adam").change(activations=()).per_layer(Statistic.INPUT_RMS, first=1.0, last=1e-6)
    return classifier(chain(PROBES, builder, activation=0.0, weight=-6.2), stuck()).build()


def forgetful_rnn() -> Trace:
    return classifier(recurrent(mlp(2, "Tanh", "Adam"), -16.0), stuck(1.386), classes=4).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    sigmoid_sgd: CauseKind.ACTIVATION_DERIVATIVE,
    default_relu_sgd: CauseKind.WEIGHT_SCALE_SMALL,
    tiny_tanh_sgd: CauseKind.WEIGHT_SCALE_SMALL,
    default_gelu_adam: CauseKind.WEIGHT_SCALE_SMALL,
    linear_adam_that_fades: CauseKind.WEIGHT_SCALE_SMALL,
    forgetful_rnn: CauseKind.RECURRENT_JACOBIAN,
    deep_sigmoid: CauseKind.ACTIVATION_DERIVATIVE,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause_when_the_run_goes_nowhere(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is Severity.ERROR
    assert finding.first_step == 0
    assert finding.cause is not None
    assert finding.cause.kind is SICK[shape]
    assert finding.cause.share > 0.5


@pytest.mark.parametrize("name", SCARY)
def test_raises_no_alarm_on_what_only_looks_bad(name: str) -> None:
    assert [f for f in RULE.judge(SCARY[name]()) if f.severity is not Severity.INFO] == []


@pytest.mark.parametrize("shape", SICK)
def test_does_not_depend_on_the_scale_of_gradient_and_loss(shape: Callable[[], Trace]) -> None:
    trace = shape()
    plain = verdicts(RULE.judge(trace))
    assert verdicts(RULE.judge(multiply_gradients(trace, 65536.0))) == plain
    assert verdicts(RULE.judge(multiply_loss(trace, 1e4))) == plain


def test_names_the_starved_layers_and_not_the_others() -> None:
    (finding,) = RULE.judge(sigmoid_sgd())
    assert finding.modules[0] == "net.0"
    assert "net.18" not in finding.modules
    assert "net.0.weight" in finding.parameters


def test_splits_the_decades_between_activations_and_weights() -> None:
    (finding,) = RULE.judge(sigmoid_sgd())
    assert finding.cause is not None
    assert finding.cause.share == pytest.approx(5.4 / 7.5)
    assert "Sigmoid derivatives take -5.4" in finding.cause.explanation
    assert "weights -2.1" in finding.cause.explanation


def test_rectifier_derivatives_are_not_blamed_for_what_weights_should_make_up() -> None:
    (finding,) = RULE.judge(default_relu_sgd())
    assert finding.cause is not None
    # 19 rectifiers lose 0.1505 decades each at any weight scale: 2.86 of the 2.9
    assert finding.cause.share == pytest.approx((4.6 + 19 * 0.1505) / 7.5, abs=0.01)


def test_is_a_warning_while_the_run_still_learns_a_little() -> None:
    builder = mlp(10, "Sigmoid").per_layer(Statistic.GRAD_RMS, first=1e-10, last=1e-3)
    trace = classifier(chain(PROBES, builder, activation=-5.4, weight=-2.1), falling(2.3, 1.7)).build()
    assert [f.severity for f in RULE.judge(trace)] == [Severity.WARNING]


def test_is_silent_when_the_optimizer_does_not_feel_it_and_nothing_is_known_of_the_loss() -> None:
    builder = chain(PROBES, mlp(12, optimizer="Adam"), activation=-1.7, weight=-3.1)
    assert RULE.judge(builder.build()) == ()


def test_mild_attenuation_alone_is_no_fault() -> None:
    trace = classifier(chain(PROBES, mlp(6), activation=-1.5, weight=-1.4), stuck()).build()
    assert RULE.judge(trace) == ()


def test_weight_decay_does_not_hide_starved_layers() -> None:
    builder = mlp(10, "Sigmoid").per_layer(Statistic.GRAD_RMS, first=1e-10, last=1e-3)
    optimizer = replace(builder.trace.optimizers[0], groups=({"lr": 0.1, "weight_decay": 5e-4},))
    builder.change(optimizers=(optimizer,)).per_layer(Statistic.UPDATE_RATIO, first=5e-5, last=1e-2)
    assert len(RULE.judge(classifier(chain(PROBES, builder, activation=-5.4, weight=-2.1), stuck()).build())) == 1


def test_a_gradient_that_recovers_in_a_run_that_learns_is_no_fault() -> None:
    builder = chain((0, 1, 2, 4), mlp(12), activation=-1.7, weight=-3.1)
    trace = classifier(chain((64, 128), builder, activation=-1.7, weight=2.0), falling(2.3, 1.8)).build()
    assert RULE.judge(trace) == ()


def test_a_barrier_of_number_formats_is_blamed_on_precision() -> None:
    builder = chain((0, 1), mlp(4), activation=-0.4, weight=-0.5)
    cast = entry("", "ToCopy", EntryKind.SHAPE, math.nan, uses=3)
    ledgers = tuple(
        replace(
            x,
            attenuation=-math.inf,
            entries=(x.entries[0], cast, *(replace(e, decades=math.nan) for e in x.entries[1:])),
        )
        for x in builder.trace.ledgers
    )
    builder.change(ledgers=ledgers).per_layer(Statistic.GRAD_RMS, first=1.0, last=1.0)
    for layer in ("net.0", "net.2"):
        builder.series(Statistic.GRAD_RMS, f"{layer}.weight", 0.0)
    (finding,) = RULE.judge(classifier(builder, stuck()).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.PRECISION


def test_dead_units_are_left_to_their_own_rule() -> None:
    builder = mlp(4).series(Statistic.DEAD, "net.3", 1.0).series(Statistic.DEAD_SAMPLES, "net.3", 128.0)
    for step in PROBES:
        blocked(builder, step, module="net.3")
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_raw_inputs_that_saturate_the_first_layer_are_blamed_on_the_data() -> None:
    builder = mlp(3, "Tanh").per_layer(Statistic.GRAD_RMS, first=1e-9, last=1e-3)
    builder.series(Statistic.INPUT_RMS, "net.0", 583.0)
    chain(PROBES, builder, activation=0.0, weight=-0.4)
    ledgers = tuple(
        replace(x, entries=(*x.entries[:-1], replace(x.entries[-1], decades=-4.5)), attenuation=-4.9)
        for x in builder.trace.ledgers
    )
    (finding,) = RULE.judge(classifier(builder.change(ledgers=ledgers), stuck()).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.INPUT_SCALE


def test_a_gradient_that_training_lost_is_blamed_on_the_learning_rate() -> None:
    builder = mlp(10).per_layer(Statistic.GRAD_RMS, first=1e-12, last=1e-3)
    builder.series(Statistic.UPDATE_RATIO, "net.4.weight", 0.5)
    chain((1, 4, 64, 128), chain((0,), builder, activation=-1.3, weight=1.0), activation=-6.0, weight=-2.0)
    (finding,) = RULE.judge(classifier(builder, stuck()).build())
    assert finding.cause is not None
    assert (finding.cause.kind, finding.cause.share) == (CauseKind.LEARNING_RATE_HIGH, 1.0)
    assert finding.first_step == 1


def test_weights_that_decay_away_are_blamed_themselves() -> None:
    builder = mlp(10).per_layer(Statistic.GRAD_RMS, first=1e-12, last=1e-3)
    for site in builder.trace.layers:
        builder.series(Statistic.WEIGHT_RMS, site.parameters[0], lambda step: 0.1 * 0.98**step)
    chain((64, 128), chain((0,), builder, activation=-1.3, weight=1.0), activation=-1.3, weight=-7.0)
    (finding,) = RULE.judge(classifier(builder, stuck()).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.WEIGHT_SCALE_SMALL


def test_memory_that_returns_too_late_for_a_run_that_fails_was_too_short() -> None:
    builder = recurrent(mlp(2, "Tanh", "Adam"), -18.0, steps=(0, 1, 4, 16, 64))
    recurrent(builder, -2.0, steps=(140, 150, 160, 170, 180, 190, 200, 220, 240, 260, 280, 299))
    assert len(RULE.judge(classifier(builder, stuck(1.386), classes=4).build())) == 1


def test_short_memory_is_a_fault_only_when_the_run_goes_nowhere() -> None:
    assert RULE.judge(classifier(recurrent(mlp(2, "Tanh", "Adam"), -16.0), falling()).build()) == ()
    assert len(RULE.judge(forgetful_rnn())) == 1
