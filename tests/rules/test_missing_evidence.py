"""A rule never raises, whatever a trace lacks, and says less the less it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evengrad.core.discover import catalogue
from evengrad.core.finding import Severity
from evengrad.core.statistic import Scope, Statistic
from evengrad.core.trace import Series, Trace
from tests.rules import (
    test_bad_initialisation,
    test_constant_output,
    test_dead_units,
    test_exploding_gradient,
    test_no_gradient,
    test_saturated_activation,
    test_update_too_small,
    test_vanishing_gradient,
)
from tests.rules.shapes import SCARY

RULES = catalogue("evengrad.rules")
SUITES = (
    test_bad_initialisation, test_constant_output, test_dead_units, test_exploding_gradient, test_no_gradient,
    test_saturated_activation, test_update_too_small, test_vanishing_gradient,
)  # fmt: skip
SICK: list[tuple[str, Callable[[], Trace]]] = [
    (f"{suite.__name__.rpartition('test_')[2].replace('_', '-')}/{shape.__name__}", shape)
    for suite in SUITES
    for shape in suite.SICK
]
SHAPES = [*SICK, *SCARY.items()]


def without(trace: Trace, statistic: Statistic) -> Trace:
    return replace(trace, series={key: value for key, value in trace.series.items() if key[0] is not statistic})


def crippled(trace: Trace, seed: int) -> Trace:
    """Return a trace with a random half of its parts and points missing, and some points not finite."""
    random = np.random.default_rng(seed)
    kept = {}
    for key, series in trace.series.items():
        if random.random() < 0.5:
            points = random.random(len(series)) < 0.7
            spoilt = np.where(random.random(len(series)) < 0.05, np.nan, series.values)
            kept[key] = Series(series.steps[points], spoilt[points])
    parts = {
        name: tuple(item for item in getattr(trace, name) if random.random() < 0.7)
        for name in ("layers", "activations", "parameters", "optimizers", "ledgers", "time_profiles", "modules")
    }
    return replace(trace, series=kept, **parts)


def judge_all(trace: Trace) -> list[str]:
    """Return the rules that raise an error; raise what a rule raises."""
    return [f.rule for module in RULES.values() for f in module.RULE.judge(trace) if f.severity is Severity.ERROR]


@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=[name for name, _ in SHAPES])
def test_no_rule_raises_when_a_statistic_is_missing(name: str, shape: Callable[[], Trace]) -> None:
    trace = shape()
    for statistic in {key[0] for key in trace.series}:
        judge_all(without(trace, statistic))


@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=[name for name, _ in SHAPES])
def test_no_rule_raises_on_a_crippled_trace(name: str, shape: Callable[[], Trace]) -> None:
    trace = shape()
    for seed in range(5):
        judge_all(crippled(trace, seed))


@pytest.mark.parametrize(("name", "shape"), SICK, ids=[name for name, _ in SICK])
def test_without_losses_nothing_is_called_the_failure_of_a_run(name: str, shape: Callable[[], Trace]) -> None:
    found = judge_all(without(shape(), Statistic.LOSS))
    assert set(found) <= {"no-gradient"}  # a network without any gradient needs no loss to be seen failing


@pytest.mark.parametrize(("name", "shape"), SICK, ids=[name for name, _ in SICK])
def test_nothing_is_found_in_losses_alone(name: str, shape: Callable[[], Trace]) -> None:
    trace = shape()
    kept = {key: value for key, value in trace.series.items() if key[0].scope is Scope.RUN and key[0] is Statistic.LOSS}
    bare = Trace(steps=trace.steps, series=kept)
    mine = {suite.__name__.rpartition("test_")[2].replace("_", "-") for suite in SUITES}
    assert mine.isdisjoint(judge_all(bare))
