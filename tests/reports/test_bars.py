from __future__ import annotations

import itertools
import math
import random

import pytest

from evengrad.core.finding import Cause, CauseKind
from evengrad.core.statistic import Statistic
from evengrad.reports.bars import gradient_bars, thin, thin_bars
from evengrad.reports.text import texts
from evengrad.reports.values import Bar
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding

EN = texts("en")


@pytest.mark.parametrize("seed", range(20))
def test_thinning_keeps_the_ends_the_extremes_and_what_is_asked_for(seed):
    rng = random.Random(seed)
    values = [rng.choice([rng.gauss(0, 3), math.nan, math.inf]) for _ in range(rng.randint(2, 400))]
    limit = rng.randint(6, 30)
    asked = rng.sample(range(len(values)), k=min(2, len(values)))
    kept = thin(values, limit, keep=asked)
    finite = [index for index, value in enumerate(values) if math.isfinite(value)]
    assert kept == sorted(set(kept))
    assert len(kept) == min(limit, len(values))
    assert {0, len(values) - 1, *asked} <= set(kept)
    if finite:
        assert {min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)} <= set(kept)


def test_thinning_spreads_the_rest_evenly():
    kept = thin([0.0] * 1000, 17)
    assert max(right - left for left, right in itertools.pairwise(kept)) <= 2 * 1000 / 16


def test_bars_count_what_was_left_out_even_when_thinned_twice():
    bars = [Bar(str(index), "", index / 100) for index in range(100)]
    once = thin_bars(bars, 16)
    twice = thin_bars(once, 7)
    for shown in (once, twice):
        assert len(shown) + sum(bar.omitted_before for bar in shown) == 100
    assert [twice[0].label, twice[-1].label] == ["0", "99"]


def test_bar_lengths_are_logarithmic_and_within_the_axis():
    bars = gradient_bars(diagnosis(deep_sigmoid(10), finding()), EN)
    fractions = [row.fraction for row in bars.rows]
    assert [row.label for row in bars.rows] == [f"net.{2 * index}" for index in range(10)]
    steps = [right - left for left, right in itertools.pairwise(fractions)]
    assert steps == pytest.approx([steps[0]] * 9, rel=1e-6)
    assert all(0 < fraction <= 1 for fraction in fractions)
    assert bars.axis == "log axis 1e-8 to 1e-1"


def test_even_gradients_look_even():
    trace = TraceBuilder().mlp(5).per_layer(Statistic.GRAD_OUTPUT_NORM, first=0.010, last=0.011).build()
    rows = gradient_bars(diagnosis(trace, finding()), EN).rows
    assert max(row.fraction for row in rows) - min(row.fraction for row in rows) < 0.05


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (math.nan, "nan"), (math.inf, "inf")])
def test_a_gradient_that_is_not_on_a_log_axis_is_written_not_drawn(value, text):
    trace = TraceBuilder().mlp(4).per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-4, last=1.0).build()
    trace = TraceBuilder().change(**trace.__dict__).series(Statistic.GRAD_OUTPUT_NORM, "net.0", value).build()
    first = gradient_bars(diagnosis(trace, finding()), EN).rows[0]
    assert (first.text, first.fraction) == (text, None)


def test_only_the_worst_finding_marks_its_layers():
    trace = deep_sigmoid(4)
    found = diagnosis(
        trace, finding(modules=("net.0",), parameters=()), finding("dead-units", modules=("net.4",), parameters=())
    )
    assert [row.label for row in gradient_bars(found, EN).rows if row.guilty] == ["net.0"]


def test_bars_show_the_step_of_the_ledger_beside_them():
    trace = TraceBuilder(steps=64).mlp(4).per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-9, last=1.0)
    trace = trace.ledger(0, activation=-1.0).ledger(16, activation=-9.0).build()
    made = finding(
        first_step=0, last_step=63, evidence=(finding().evidence[0].__class__("a", -9.0, -4.0, "decades", "net.0"),)
    )
    assert "step 16" in gradient_bars(diagnosis(trace, made), EN).title


def test_where_all_is_nan_the_last_step_before_shows_where_the_gradient_stood():
    builder = TraceBuilder(steps=9).mlp(3)
    for layer in builder.trace.layers:
        builder.series(Statistic.GRAD_OUTPUT_NORM, layer.name, [0.1, 0.2, math.nan], steps=[0, 4, 8])
    bars = gradient_bars(diagnosis(builder.build(), finding("non-finite", first_step=7, last_step=8)), EN)
    assert "step 4" in bars.title
    assert [row.text for row in bars.rows] == ["2.0e-1"] * 3


def test_a_run_without_layers_falls_back_to_weights_or_to_nothing():
    trace = TraceBuilder().mlp(4).per_layer(Statistic.GRAD_RMS, first=1e-6, last=1e-2).build()
    bars = gradient_bars(diagnosis(trace, finding()), EN)
    assert [row.label for row in bars.rows] == [f"net.{2 * index}.weight" for index in range(4)]
    assert gradient_bars(diagnosis(TraceBuilder().build()), EN) is None


def test_a_fault_in_time_shows_the_time_steps():
    norms = [10.0 ** (-index / 4) for index in range(60)][::-1]
    trace = (
        TraceBuilder()
        .mlp(3)
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=1.0, last=1.0)
        .time_profile("lstm", norms)
        .build()
    )
    made = finding("vanishing-gradient", modules=("lstm",), cause=Cause(CauseKind.RECURRENT_JACOBIAN, 1.0, ""))
    bars = gradient_bars(diagnosis(trace, made), EN)
    assert "time step in `lstm`" in bars.title
    assert [bars.rows[0].label, bars.rows[-1].label] == ["t = 0", "t = 59"]
    assert len(bars.rows) <= 16
