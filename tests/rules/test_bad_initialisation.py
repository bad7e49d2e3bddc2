from __future__ import annotations

from collections.abc import Callable

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.info import ParamInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.bad_initialisation import RULE
from tests.rules.shapes import (
    SCARY,
    adapter,
    chain,
    classifier,
    falling,
    mlp,
    multiply_gradients,
    multiply_loss,
    regression,
    stuck,
    verdicts,
    with_parameters,
)  # fmt: skip

PROBES = (0, 1, 64)


def constant_weights() -> Trace:
    builder = mlp(4, "Tanh").per_layer(Statistic.INPUT_RMS, first=1.0, last=0.4)
    for layer in ("net.2", "net.4", "net.6"):
        builder.series(Statistic.FEATURE_SPREAD, layer, 1.0)
    return classifier(builder, stuck()).build()


def zero_weights() -> Trace:
    builder = mlp(3).per_layer(Statistic.WEIGHT_RMS, first=1.0, last=1.0)
    for name in ("net.0.weight", "net.2.weight", "net.4.weight"):
        builder.series(Statistic.WEIGHT_RMS, name, 0.0).series(Statistic.GRAD_RMS, name, 0.0)
    return classifier(builder, stuck()).build()


def both_adapters_zero() -> Trace:
    pair = [ParamInfo(f"lora.{n}", (4, 64), "float32", True, 0, 0, "lora") for n in "AB"]
    builder = with_parameters(classifier(mlp(3, optimizer="AdamW"), stuck()), *pair)
    for info in pair:
        builder.series(Statistic.WEIGHT_RMS, info.name, 0.0).series(Statistic.GRAD_RMS, info.name, 0.0)
    return builder.build()


def gradient_lost_at_once() -> Trace:
    return classifier(chain(PROBES, mlp(30), activation=-4.3, weight=-2.0), stuck()).build()


def signal_fades() -> Trace:
    builder = chain(PROBES, mlp(10, "Tanh"), activation=-0.1, weight=-2.5).per_layer(
        Statistic.INPUT_RMS, first=1, last=1e-5
    )
    return regression(builder, stuck(1.0)).build()


def certain_of_wrong_answers() -> Trace:
    builder = classifier(mlp(3), falling(300.0, 20.0)).per_layer(Statistic.WEIGHT_RMS, first=1.0, last=1.0)
    return builder.series(Statistic.OUTPUT_RMS, "", 320.0, steps=[0]).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    constant_weights: CauseKind.WEIGHT_SCALE_SMALL,
    zero_weights: CauseKind.WEIGHT_SCALE_SMALL,
    both_adapters_zero: CauseKind.WEIGHT_SCALE_SMALL,
    gradient_lost_at_once: CauseKind.WEIGHT_SCALE_SMALL,
    signal_fades: CauseKind.WEIGHT_SCALE_SMALL,
    certain_of_wrong_answers: CauseKind.WEIGHT_SCALE_LARGE,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is Severity.ERROR
    assert (finding.first_step, finding.last_step) == (0, 0)
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


def test_names_the_layers_whose_units_are_copies() -> None:
    (finding,) = RULE.judge(constant_weights())
    assert finding.modules == ("net.0", "net.2", "net.4")


def test_names_the_weights_that_are_stuck_at_zero() -> None:
    (finding,) = RULE.judge(both_adapters_zero())
    assert finding.parameters == ("lora.A", "lora.B")


def test_an_adapter_with_one_zero_factor_is_sound() -> None:
    assert RULE.judge(adapter()) == ()


def test_signs_are_not_copies() -> None:
    builder = classifier(mlp(4, "Tanh"), stuck())
    for layer in ("net.2", "net.4", "net.6"):
        builder.series(Statistic.FEATURE_SPREAD, layer, 1.0).series(Statistic.INPUT_RMS, layer, 1.0)
    assert RULE.judge(builder.build()) == ()


def test_copies_that_part_are_no_fault() -> None:
    builder = classifier(mlp(3), stuck()).series(Statistic.INPUT_RMS, "net.2", 0.4)
    builder.series(Statistic.FEATURE_SPREAD, "net.2", lambda step: 1.0 + 0.1 * step)
    assert RULE.judge(builder.build()) == ()


def test_a_run_that_overcomes_its_start_is_not_reported() -> None:
    assert RULE.judge(classifier(chain(PROBES, mlp(30), activation=-4.3, weight=-2.0), falling()).build()) == ()


def test_certainty_that_the_data_brings_is_not_the_weights_fault() -> None:
    builder = classifier(mlp(3), stuck(300.0)).per_layer(Statistic.WEIGHT_RMS, first=1.0, last=1.0)
    builder.series(Statistic.OUTPUT_RMS, "", 320.0, steps=[0]).series(Statistic.INPUT_RMS, "net.0", 500.0)
    assert RULE.judge(builder.build()) == ()
