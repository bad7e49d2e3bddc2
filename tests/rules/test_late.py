from __future__ import annotations

import numpy as np

from evengrad.core.trace import EMPTY, Series
from evengrad.rules._late import late, late_median, typical


def series(steps: list[int], values: list[float]) -> Series:
    return Series(np.asarray(steps, np.int64), np.asarray(values, np.float64))


def test_step_0_is_late_only_when_nothing_follows() -> None:
    assert late(series([0], [7.0])).values.tolist() == [7.0]
    assert late(series([0, 1], [7.0, 8.0])).values.tolist() == [8.0]


def test_late_is_the_later_half_of_the_steps_and_not_of_the_points() -> None:
    assert late(series([0, 1, 2, 4, 8, 64, 128], [0, 1, 2, 3, 4, 5, 6])).values.tolist() == [5.0, 6.0]


def test_values_that_are_not_finite_are_not_late() -> None:
    assert late_median(series([0, 10, 20, 30], [1.0, 2.0, np.inf, np.nan])) == 2.0


def test_an_empty_series_has_no_late_part() -> None:
    assert len(late(EMPTY)) == 0
    assert np.isnan(late_median(EMPTY))


def test_a_run_that_gets_somewhere_is_judged_by_the_median_of_its_later_half() -> None:
    assert typical([0, 1, 2, 60, 80, 100], [-9, -9, -9, -1, -2, -3], failing=False) == 4


def test_a_run_that_fails_is_judged_by_what_held_for_a_quarter_of_it() -> None:
    steps = [0, 1, 30, 40, 60, 80, 100]
    assert typical(steps, [-1, -9, -8, -1, -1, -1, -1], failing=True) == 2
    assert typical(steps, [-9, -9, -1, -1, -1, -1, -1], failing=True) != 1


def test_probes_count_for_the_steps_that_they_lie_nearest_to() -> None:
    crowded = [0, 1, 40, *range(90, 100)]
    assert typical(crowded, [0.0, -9.0, -9.0, *[0.0] * 10], failing=True) in (1, 2)


def test_a_single_probe_speaks_for_the_run() -> None:
    assert typical([0], [-3.0], failing=True) == 0
    assert typical([5], [-3.0], failing=False) == 0
