from __future__ import annotations

from collections.abc import Callable

import pytest

from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.dead_units import RULE
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

PROBES = [0, 1, 2, 4, 8, 64]


def dead(
    builder: TraceBuilder, site: str, share: Callable[[int], float] | float, samples: float = 128.0
) -> TraceBuilder:
    builder.series(Statistic.DEAD, site, share, steps=PROBES)
    return builder.series(Statistic.DEAD_SAMPLES, site, samples, steps=PROBES)


def born_dead() -> Trace:
    return classifier(dead(mlp(4), "net.3", 1.0), stuck()).build()


def killed_by_rate() -> Trace:
    builder = dead(mlp(4, optimizer="Adam"), "net.3", lambda step: 0.05 if step == 0 else 0.97)
    return classifier(builder.series(Statistic.UPDATE_RATIO, "net.2.weight", 3.0), stuck()).build()


def killed_by_data() -> Trace:
    builder = dead(mlp(3), "net.1", 0.95).series(Statistic.INPUT_RMS, "net.0", 900.0)
    return regression(builder, stuck(1.0)).build()


def half_dead() -> Trace:
    return classifier(dead(mlp(4), "net.5", 0.6, samples=4096.0), stuck()).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    born_dead: CauseKind.DEAD_UNITS,
    killed_by_rate: CauseKind.LEARNING_RATE_HIGH,
    killed_by_data: CauseKind.INPUT_SCALE,
    half_dead: CauseKind.DEAD_UNITS,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is (Severity.WARNING if shape is half_dead else Severity.ERROR)
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


def test_names_site_and_feeding_layer() -> None:
    (finding,) = RULE.judge(born_dead())
    assert finding.modules == ("net.3",)
    assert finding.parameters == ("net.2.weight", "net.2.bias")
    assert finding.source[0].line == 41


def test_first_step_is_when_the_units_died() -> None:
    (finding,) = RULE.judge(killed_by_rate())
    assert finding.first_step == 1


def test_one_batch_of_few_samples_is_not_believed() -> None:
    builder = (
        mlp(4).series(Statistic.DEAD, "net.3", 0.8, steps=[0]).series(Statistic.DEAD_SAMPLES, "net.3", 64.0, steps=[0])
    )
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_units_that_come_back_are_not_dead() -> None:
    builder = dead(mlp(4), "net.3", lambda step: 0.95 if step < 8 else 0.1)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_dead_units_in_a_run_that_is_solved_are_information() -> None:
    trace = classifier(dead(mlp(4), "net.3", 0.95, samples=4096.0), falling()).build()
    assert [f.severity for f in RULE.judge(trace)] == [Severity.INFO]


def test_zero_weights_are_not_called_dead_units() -> None:
    builder = dead(mlp(4), "net.3", 1.0).series(Statistic.WEIGHT_RMS, "net.2.weight", 0.0)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_an_output_that_is_always_zero_is_not_called_dead_units() -> None:
    builder = dead(mlp(3).activations("net.5"), "net.5", 1.0)
    assert RULE.judge(regression(builder, stuck(17.0)).build()) == ()
