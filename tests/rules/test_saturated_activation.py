from __future__ import annotations

from collections.abc import Callable

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.saturated_activation import RULE
from tests.builders import TraceBuilder
from tests.rules.shapes import (
    SCARY,
    chain,
    classifier,
    falling,
    mlp,
    multiply_gradients,
    multiply_loss,
    regression,
    stuck,
    verdicts,
)  # fmt: skip

PROBES = (0, 1, 64)


def saturated(builder: TraceBuilder, share: float, *sites: str) -> TraceBuilder:
    for site in sites or [site.name for site in builder.trace.activations]:
        builder.series(Statistic.SATURATED, site, share).series(Statistic.DERIVATIVE_RMS, site, 0.05)
    return builder


def raw_inputs() -> Trace:
    """Peer scenario S8: two tanh layers on inputs of 500 +- 300; the gradient of the weights looks normal."""
    builder = saturated(mlp(3, "Tanh"), 0.994, "net.1").series(Statistic.INPUT_RMS, "net.0", 583.0)
    return classifier(chain(PROBES, builder, activation=-1.6, weight=-0.4), falling(1.7, 1.4), classes=5).build()


def overdriven_weights() -> Trace:
    builder = saturated(mlp(4, "Hardtanh"), 0.99).per_layer(Statistic.WEIGHT_RMS, first=3.0, last=3.0)
    return classifier(chain(PROBES, builder, activation=-2.0, weight=2.5), stuck()).build()


def drained() -> Trace:
    builder = saturated(mlp(6, "Tanh", "Adam"), 0.97)
    return classifier(chain(PROBES, builder, activation=-4.5, weight=0.8), stuck()).build()


def saturated_output() -> Trace:
    builder = saturated(mlp(3, "Relu").activations("net.5", operation="Sigmoid"), 1.0, "net.5")
    builder.series(Statistic.SATURATED, "net.5", lambda step: 0.1 if step == 0 else 1.0)
    return builder.series(Statistic.LOSS, "", stuck(0.5)).build()


def unreachable_target() -> Trace:
    builder = mlp(3, "Tanh").activations("net.5", operation="Sigmoid")
    regression(builder, stuck(50.0))
    return builder.series(Statistic.TARGET_RMS, "", 8.1).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    raw_inputs: CauseKind.INPUT_SCALE,
    overdriven_weights: CauseKind.WEIGHT_SCALE_LARGE,
    drained: CauseKind.ACTIVATION_DERIVATIVE,
    saturated_output: CauseKind.OUTPUT_ACTIVATION,
    unreachable_target: CauseKind.OUTPUT_ACTIVATION,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity is (Severity.WARNING if shape is raw_inputs else Severity.ERROR)
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


def test_places_the_fault_at_the_first_saturated_layer() -> None:
    (finding,) = RULE.judge(raw_inputs())
    assert finding.modules == ("net.1",)
    assert finding.parameters == ("net.0.weight", "net.0.bias")


def test_saturation_without_a_drive_or_a_loss_of_gradient_is_no_fault() -> None:
    builder = saturated(mlp(3, "Tanh"), 0.95, "net.1")
    assert RULE.judge(classifier(chain(PROBES, builder, activation=-1.2, weight=0.1), stuck()).build()) == ()


def test_gates_that_saturate_later_are_no_fault() -> None:
    builder = mlp(4, "Sigmoid", "Adam").per_activation(Statistic.SATURATED, lambda step: 0.02 * min(step, 40))
    assert RULE.judge(classifier(chain(PROBES, builder, activation=-1.5, weight=0.9), falling(2.3, 1.6)).build()) == ()


def test_a_sure_output_of_a_run_that_is_solved_is_no_fault() -> None:
    builder = saturated(mlp(3).activations("net.5", operation="Sigmoid"), 0.99, "net.5")
    assert RULE.judge(builder.series(Statistic.LOSS, "", falling(0.7, 0.01)).build()) == ()


def test_the_silent_half_of_a_rectifier_is_not_saturation() -> None:
    builder = saturated(mlp(4), 0.96)
    assert RULE.judge(classifier(chain(PROBES, builder, activation=-4.0, weight=0.5), stuck()).build()) == ()


def test_a_target_within_reach_of_the_output_is_no_fault() -> None:
    builder = mlp(3, "Tanh").activations("net.5", operation="Sigmoid")
    regression(builder, stuck(0.1))
    assert RULE.judge(builder.series(Statistic.TARGET_RMS, "", 0.6).build()) == ()


@pytest.mark.parametrize(("loss", "severity"), [(falling(2.3, 1.5), Severity.WARNING), (stuck(), Severity.ERROR)])
def test_probabilities_handed_to_a_loss_of_logits_are_a_fault(loss: Callable[[int], float], severity: Severity) -> None:
    details = {"operation": "Softmax", "loss": "LogSoftmax", "module": "net.5", "site": ""}
    builder = mlp(3).event(EventKind.SQUASHED_TWICE, 0, **details)
    (finding,) = RULE.judge(classifier(builder, loss).build())
    assert finding.severity is severity
    assert finding.modules == ("net.5",)
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.OUTPUT_ACTIVATION
