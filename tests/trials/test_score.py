"""Verdicts against closed forms."""

import math

import numpy as np
import pytest

from evengrad.core.plan import Act, Change, Plan, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace
from evengrad.core.trial import Curve, Outcome
from evengrad.trials.score import (
    Score,
    compare,
    final_scores,
    late_loss,
    score,
    t_interval,
    trivial_loss,
)


def scores(*values: float) -> list[Score]:
    return [Score(value) for value in values]


def test_the_interval_is_students() -> None:
    # n = 3, t(0.975, 2) = 4.302652729911275: mean 2, standard deviation 1
    estimate, low, high = t_interval([1.0, 2.0, 3.0], 0.95)
    half = 4.302652729911275 / math.sqrt(3)
    assert (estimate, low, high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.3, 1.0, (2000, 4))
    hits = sum(low <= 0.3 <= high for _, low, high in (t_interval(row, 0.9) for row in samples))
    assert hits / 2000 == pytest.approx(0.9, abs=3 * math.sqrt(0.09 / 2000))


def test_equal_programs_are_seldom_called_different() -> None:
    rng = np.random.default_rng(1)
    outcomes = [
        compare(scores(*np.exp(rng.normal(0, 0.3, 3))), scores(*np.exp(rng.normal(0, 0.3, 3))), 0.95)[0]
        for _ in range(400)
    ]
    wrong = sum(outcome is not Outcome.NO_EVIDENCE for outcome in outcomes)
    assert wrong / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_factor_of_ten_is_better_and_its_inverse_worse() -> None:
    sick, sound = scores(2.3, 2.31, 2.29), scores(0.22, 0.25, 0.21)
    outcome, effect = compare(sound, sick, 0.95)
    assert outcome is Outcome.BETTER
    assert effect.ratio == pytest.approx(0.0985, rel=0.01)
    assert compare(sick, sound, 0.95)[0] is Outcome.WORSE


def test_losses_below_zero_are_compared_as_they_are() -> None:
    outcome, effect = compare(scores(-5.0, -5.1, -4.9), scores(1.0, 1.2, 0.9), 0.95)
    assert outcome is Outcome.BETTER
    assert effect.scale == "plain"
    assert effect.estimate == pytest.approx(-6.0333, abs=1e-3)


@pytest.mark.parametrize(
    ("arm", "control", "expected"),
    [
        ((1.0, 1.0, 1.0), (math.inf, math.inf, math.inf), Outcome.BETTER),
        ((1.0, 1.0, 1.0), (math.inf, 1.1, 0.9), Outcome.NO_EVIDENCE),
        ((1.0, 1.0, math.inf), (math.inf, math.inf, 1.0), Outcome.NO_EVIDENCE),
        ((math.inf, math.inf, math.inf), (1.0, 1.0, 1.0), Outcome.WORSE),
        ((math.inf, math.inf, math.inf), (math.inf, math.inf, math.inf), Outcome.NO_EVIDENCE),
        ((-1.0, -1.0, -1.2), (math.inf, math.inf, math.inf), Outcome.BETTER),
    ],
)
def test_a_run_that_did_not_stay_finite_is_worse_than_any_that_did(
    arm: tuple[float, ...], control: tuple[float, ...], expected: Outcome
) -> None:
    assert compare(scores(*arm), scores(*control), 0.95)[0] is expected


def test_how_far_the_control_diverged_does_not_blur_the_verdict() -> None:
    outcome, effect = compare(scores(0.02, 0.03, 0.02), scores(1e22, 0.9, 1e10), 0.975)
    assert outcome is Outcome.BETTER
    assert effect.ratio == pytest.approx(0.0149, rel=0.01)  # (100 * 30 * 100) ** (-1 / 3)


def test_one_pair_proves_nothing() -> None:
    assert compare(scores(0.1), scores(10.0), 0.95)[0] is Outcome.NO_EVIDENCE


def test_the_late_loss_withstands_one_bad_batch_but_not_a_broken_end() -> None:
    losses = [1.0] * 90 + [0.5] * 9 + [1e9]
    assert late_loss(losses) == 0.5
    assert late_loss([1.0] * 50 + [math.nan] * 50) == math.inf
    assert late_loss([]) == math.inf


def test_a_penalised_loss_is_judged_relative_to_knowing_nothing() -> None:
    target = Change("normalise-target", Act.SCALE, Risk.DATA, (("what", "target"),))
    series = {
        (Statistic.TARGET_SPREAD, ""): Series(np.array([0]), np.array([10.0])),
        (Statistic.TARGET_RMS, ""): Series(np.array([0]), np.array([1000.0])),
        (Statistic.OUTPUT_RMS, ""): Series(np.array([0]), np.array([0.1])),
    }
    trace = Trace(steps=20, series=series)
    squared = Curve(0, (1000.0**2,) * 10 + (50.0,) * 10)
    assert trivial_loss(squared.losses, trace) == pytest.approx(100.0)
    assert trivial_loss((1000.0, 900.0), trace) == pytest.approx(10.0)
    judged = score(squared, trace, Plan((target,)))
    assert judged.quantity == "relative loss"
    assert judged.value == pytest.approx(0.5)
    assert score(squared, trace, Plan()).value == 50.0


def test_a_loss_scale_is_taken_out() -> None:
    series = {
        (Statistic.LOSS_SCALE, ""): Series(np.array([0]), np.array([65536.0])),
        (Statistic.LOSS, ""): Series(np.arange(20), np.full(20, 0.5)),
    }
    scaled = Curve(0, (0.5 * 65536,) * 20)
    assert score(scaled, Trace(steps=20, series=series), Plan()).value == 0.5


def test_printed_figures_count_where_one_can_tell_which_way_is_up() -> None:
    good = Curve(1, (1.0,), ended=True, finals=(("accuracy", 0.9), ("speed", 3.0)))
    bad = Curve(1, (1.0,), ended=True, finals=(("accuracy", 0.1), ("speed", 4.0)))
    printed = final_scores([good], [bad])
    assert printed is not None
    assert printed[0][0].quantity == "accuracy"
    assert printed[0][0].value < printed[1][0].value
    assert final_scores([Curve(1, (1.0,), ended=True, finals=(("speed", 3.0),))], [bad]) is None
    assert final_scores([Curve(1, (1.0,))], [bad]) is None
