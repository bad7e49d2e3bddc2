from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Severity
from evengrad.core.info import ParamInfo
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules import vanishing_gradient
from evengrad.rules.no_gradient import RULE
from tests.builders import TraceBuilder
from tests.rules.shapes import (
    SCARY,
    chain,
    classifier,
    entry,
    falling,
    mlp,
    multiply_gradients,
    multiply_loss,
    regression,
    stuck,
    verdicts,
    with_parameters,
)  # fmt: skip


def without(builder: TraceBuilder, layers: Iterable[str], *, missing: bool) -> TraceBuilder:
    """Take the gradients of some layers away: None, or exactly zero."""
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    kept = {
        key: value for key, value in builder.trace.series.items() if key[1] not in names or key[0].key == "weight_rms"
    }
    builder.change(series=kept)
    for name in names:
        if missing:
            builder.series(Statistic.GRAD_MISSING, name, 1.0, steps=[0])
        else:
            builder.series(Statistic.GRAD_RMS, name, 0.0).series(Statistic.WEIGHT_RMS, name, 0.1)
    return builder


def detached_encoder() -> Trace:
    return classifier(without(mlp(4), ("net.0", "net.2", "net.4"), missing=True), stuck()).build()


def nothing_attached() -> Trace:
    return regression(without(mlp(3), ("net.0", "net.2", "net.4"), missing=True), stuck(1.0)).build()


def behind_dead_units() -> Trace:
    builder = without(mlp(4), ("net.0", "net.2"), missing=False)
    builder.series(Statistic.DEAD, "net.3", 1.0).series(Statistic.DEAD_SAMPLES, "net.3", 2000.0)
    return classifier(builder, stuck()).build()


def underflow() -> Trace:
    builder = without(mlp(4), ("net.0", "net.2"), missing=False).series(Statistic.GRAD_ZERO_SHARE, "net.4.weight", 0.9)
    half = tuple(replace(info, dtype="float16") for info in builder.trace.parameters)
    return classifier(builder.change(parameters=half), stuck()).build()


SICK: dict[Callable[[], Trace], CauseKind] = {
    detached_encoder: CauseKind.DISCONNECTED,
    nothing_attached: CauseKind.DISCONNECTED,
    behind_dead_units: CauseKind.DEAD_UNITS,
    underflow: CauseKind.PRECISION,
}


@pytest.mark.parametrize("shape", SICK)
def test_fires_with_the_cause(shape: Callable[[], Trace]) -> None:
    (finding,) = RULE.judge(shape())
    assert finding.severity in (Severity.ERROR, Severity.WARNING)
    assert finding.parameters[0].startswith("net.0")
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


def test_is_an_error_when_nothing_gets_a_gradient() -> None:
    assert [f.severity for f in RULE.judge(nothing_attached())] == [Severity.ERROR]


def test_is_an_error_when_most_gets_none_and_the_run_goes_nowhere() -> None:
    assert [f.severity for f in RULE.judge(detached_encoder())] == [Severity.ERROR]


def test_is_a_warning_when_the_rest_learns_something() -> None:
    builder = without(mlp(4), ("net.0", "net.2", "net.4"), missing=True)
    assert [f.severity for f in RULE.judge(classifier(builder, falling(2.3, 1.7)).build())] == [Severity.WARNING]


def test_features_that_are_cut_off_on_purpose_and_suffice_are_information() -> None:
    builder = without(mlp(4), ("net.0", "net.2", "net.4"), missing=True)
    assert [f.severity for f in RULE.judge(classifier(builder, falling()).build())] == [Severity.INFO]


def test_a_branch_behind_layers_that_learn_is_information() -> None:
    aux = ParamInfo("aux.weight", (200, 64), "float32", True, 0, 0, "aux")
    builder = with_parameters(classifier(mlp(4), falling(2.3, 1.7)), aux)
    builder.series(Statistic.GRAD_MISSING, "aux.weight", 1.0, steps=[0])
    assert [f.severity for f in RULE.judge(builder.build())] == [Severity.INFO]


def test_a_gradient_that_is_zero_at_times_is_no_fault() -> None:
    builder = classifier(mlp(4), stuck()).series(Statistic.GRAD_RMS, "net.0.weight", lambda step: float(step % 2))
    assert RULE.judge(builder.build()) == ()


def test_two_steps_are_too_few_to_say() -> None:
    assert RULE.judge(classifier(without(mlp(4, steps=2), ("net.0",), missing=True), stuck()).build()) == ()


def test_a_loop_in_the_wrong_order_is_left_to_its_own_rule() -> None:
    builder = without(mlp(4), ("net.0", "net.2", "net.4", "net.6"), missing=True)
    builder.event(EventKind.FOREIGN_PARAMETERS, count=300)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_weights_that_are_zero_as_well_are_left_to_the_initialisation() -> None:
    builder = without(mlp(4), ("net.0",), missing=False)
    for kind in ("weight", "bias"):
        builder.series(Statistic.WEIGHT_RMS, f"net.0.{kind}", 0.0)
    assert RULE.judge(classifier(builder, stuck()).build()) == ()


def test_an_operation_without_derivative_is_named() -> None:
    builder = chain((0, 1, 2), without(mlp(4), ("net.0", "net.2"), missing=False), activation=-0.4, weight=-0.5)
    flat = entry("", "Round", EntryKind.OTHER, -math.inf)
    ledgers = tuple(
        replace(
            x, attenuation=-math.inf, entries=(x.entries[0], flat, *(replace(e, decades=math.nan) for e in x.entries))
        )
        for x in builder.trace.ledgers
    )
    trace = classifier(builder.change(ledgers=ledgers), stuck()).build()
    (finding,) = RULE.judge(trace)
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.ACTIVATION_DERIVATIVE
    assert "Round" in finding.cause.explanation
    assert vanishing_gradient.RULE.judge(trace) == ()


def test_layers_that_the_forward_pass_never_calls_are_information() -> None:
    builder = without(mlp(4), ("net.0", "net.2"), missing=True)
    modules = [replace(m, called=m.defined if m.name in ("net.4", "net.6") else None) for m in builder.trace.modules]
    trace = classifier(builder.change(modules=tuple(modules)), falling(2.3, 1.7)).build()
    assert [f.severity for f in RULE.judge(trace)] == [Severity.INFO]
