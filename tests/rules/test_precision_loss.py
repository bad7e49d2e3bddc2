"""When rounding to half precision is a fault, and when half precision is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evengrad.core.finding import CauseKind, Finding, Severity
from evengrad.core.ledger import EntryKind, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules.precision_loss import RULE
from tests.builders import TraceBuilder, Values


def stuck(step: int) -> float:
    return 2.303 + 0.01 * (-1) ** step


def learns(step: int) -> float:
    return 2.3 * 0.96**step


def weights(
    dtype: str, *, realised: Values = 1.0, lr: float = 1e-4, optimizer: str = "Adam", loss: Values = stuck
) -> TraceBuilder:
    """Return a run whose weights are kept in ``dtype`` and realise that part of their updates."""
    built = (
        TraceBuilder(steps=100)
        .mlp(3)
        .optimizer(optimizer, lr=lr, eps=1e-8)
        .series(Statistic.LOSS, "", loss)
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.GRAD_RMS, first=1e-2, last=1e-2)
    )
    built.change(parameters=tuple(replace(info, dtype=dtype) for info in built.trace.parameters))
    for site in built.trace.layers:
        built.series(Statistic.REALISED_FRACTION, site.parameters[0], realised)
    return built


def layers(dtype: str, sizes: tuple[float, ...], *, loss: Values = stuck) -> TraceBuilder:
    """Return a run whose layers get gradients of these sizes in ``dtype``."""
    built = TraceBuilder(steps=100).mlp(len(sizes)).optimizer("SGD", lr=0.1).series(Statistic.LOSS, "", loss)
    built.change(layers=tuple(replace(site, dtype=dtype) for site in built.trace.layers))
    for site, size in zip(built.trace.layers, sizes, strict=True):
        built.series(Statistic.GRAD_OUTPUT_RMS, site.name, size)
    return built


def only(trace: Trace) -> Finding:
    (found,) = RULE.judge(trace)
    assert found.cause is not None
    return found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_updates_that_are_rounded_away_are_an_error_in_a_stuck_run(dtype: str) -> None:
    finding = only(weights(dtype, realised=0.03).build())
    assert finding.severity is Severity.ERROR
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.PRECISION
    assert finding.cause.share == pytest.approx(0.97)
    assert finding.parameters == ("net.0.weight", "net.2.weight", "net.4.weight")
    assert dtype in finding.message


def test_rounded_updates_in_a_run_that_learns_are_no_alarm() -> None:
    assert only(weights("bfloat16", realised=0.4, loss=learns).build()).severity is Severity.INFO
    crawls = weights("bfloat16", realised=0.3, loss=lambda step: 2.3 - 0.006 * step)
    assert only(crawls.build()).severity is Severity.WARNING


def test_gradients_that_flush_in_float16_layers_are_an_error() -> None:
    finding = only(layers("float16", (0.0, 0.0, 0.0, 2e-7)).build())
    assert finding.severity is Severity.ERROR
    assert finding.modules == ("net.0", "net.2", "net.4")
    assert "3 of 4 layers" in finding.message


def test_gradients_that_flush_on_their_way_through_a_conversion_are_an_error() -> None:
    built = layers("float32", (0.0, 0.0, 2.3e-8)).ledger(0, attenuation=float("-inf"))
    cast = LedgerEntry("net", "ToCopy", EntryKind.SHAPE, float("nan"))
    built.change(ledgers=tuple(replace(ledger, entries=(cast, *ledger.entries)) for ledger in built.trace.ledgers))
    assert only(built.build()).modules == ("net.0", "net.2")


def test_weights_whose_float16_gradients_are_subnormal_are_an_error() -> None:
    built = weights("float16").per_layer(Statistic.GRAD_RMS, first=1e-6, last=1e-5)
    finding = only(built.per_layer(Statistic.GRAD_ZERO_SHARE, first=0.98, last=0.9).build())
    assert finding.severity is Severity.ERROR


def test_epsilon_above_the_gradient_of_half_precision_weights_is_named() -> None:
    finding = only(weights("bfloat16").per_layer(Statistic.EPS_SHARE, first=0.9, last=0.8).build())
    assert finding.cause is not None
    assert finding.cause.kind is CauseKind.OPTIMIZER_EPSILON


def test_loss_scale_that_is_too_small_is_named() -> None:
    built = layers("float16", (0.0, 0.0, 2e-9)).series(Statistic.LOSS_SCALE, "", 128.0, steps=[0])
    finding = only(built.build())
    assert finding.cause is not None
    assert "128" in finding.cause.explanation


def test_gradients_that_a_loss_scale_lifts_are_silent() -> None:
    built = layers("float16", (0.0, 2e-8, 2e-7)).series(Statistic.LOSS_SCALE, "", 65536.0, steps=[0])
    assert RULE.judge(built.build()) == ()


def test_updates_that_arrive_are_silent() -> None:
    assert RULE.judge(weights("bfloat16", realised=0.98).build()) == ()


def test_gains_near_one_that_stay_put_are_silent() -> None:
    built = weights("bfloat16", realised=0.98)
    for site in built.trace.layers:
        built.series(Statistic.WEIGHT_RMS, site.parameters[1], 1.0)
        built.series(Statistic.REALISED_FRACTION, site.parameters[1], 0.0)
    assert RULE.judge(built.build()) == ()


def test_learning_rate_that_decays_to_nothing_is_silent() -> None:
    built = weights("bfloat16", realised=lambda step: 0.95 if step < 32 else 0.0)
    built.series(Statistic.LEARNING_RATE, "0/0", lambda step: 1e-3 if step < 32 else 1e-9)
    assert RULE.judge(built.build()) == ()


def test_updates_that_float32_would_lose_as_well_are_silent() -> None:
    assert RULE.judge(weights("bfloat16", realised=0.0, lr=1e-9).build()) == ()
    vanished = weights("bfloat16", realised=0.0, optimizer="SGD").per_layer(Statistic.GRAD_RMS, first=1e-9, last=1e-9)
    assert RULE.judge(vanished.build()) == ()


def test_full_precision_is_silent() -> None:
    assert RULE.judge(weights("float32", realised=0.1).build()) == ()
    assert RULE.judge(layers("float32", (0.0, 0.0, 1e-3)).build()) == ()
    assert RULE.judge(layers("bfloat16", (0.0, 0.0, 1e-9)).build()) == ()


def test_dead_float16_layers_with_ample_gradient_before_them_are_not_underflow() -> None:
    assert RULE.judge(layers("float16", (0.0, 0.0, 3e-3)).build()) == ()


def test_flushed_gradients_in_a_run_that_learns_are_silent() -> None:
    assert RULE.judge(layers("float16", (0.0, 0.0, 2e-7), loss=learns).build()) == ()


def test_zeros_of_a_rectifier_in_float16_are_silent() -> None:
    built = weights("float16").per_layer(Statistic.GRAD_RMS, first=1e-3, last=1e-3)
    assert RULE.judge(built.per_layer(Statistic.GRAD_ZERO_SHARE, first=0.8, last=0.7).build()) == ()


def test_empty_trace_is_silent() -> None:
    assert RULE.judge(TraceBuilder(steps=0).build()) == ()
