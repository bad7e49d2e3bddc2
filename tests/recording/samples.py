"""Rows and folders that tests of recording start from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.recording.folder import RunFolder
from evengrad.recording.parts import Row
from tests.core.random_values import FLOATS, random_trace


def random_rows(seed: int, first_step: int = 0, steps: int = 20) -> list[Row]:
    """Return rows as a monitor drains them, step after step, with numbers that are not finite among them."""
    rng = random.Random(seed)
    subjects = ["", "net.0.weight", "層.1.weight", "0/0"]
    return [
        (step, statistic, rng.choice(subjects), rng.choice((*FLOATS, rng.gauss(0, 1))))
        for step in range(first_step, first_step + steps)
        for statistic in rng.sample(list(Statistic), 6)
    ]


def expected_series(rows: Sequence[Row]) -> dict[tuple[Statistic, str], dict[int, float]]:
    """Return what a reader should make of rows, the slow and obvious way: the last value of a step counts."""
    series: dict[tuple[Statistic, str], dict[int, float]] = {}
    for step, statistic, subject, value in rows:
        series.setdefault((statistic, subject), {})[step] = value
    return {key: dict(sorted(points.items())) for key, points in series.items()}


def assert_holds(trace: Trace, rows: Sequence[Row]) -> None:
    """Assert that a trace's series hold exactly these rows, in the order in which they were met."""
    expected = expected_series(rows)
    assert list(trace.series) == list(expected)
    for key, points in expected.items():
        series = trace.series[key]
        assert series.steps.tolist() == list(points)
        assert [value.hex() for value in series.values.tolist()] == [float(v).hex() for v in points.values()]


def rows_of(trace: Trace) -> list[Row]:
    """Return a trace's series as rows, series after series."""
    return [
        (int(step), statistic, subject, float(value))
        for (statistic, subject), series in trace.series.items()
        for step, value in zip(series.steps, series.values, strict=True)
    ]


def filled_folder(base: Path, *, parts: int = 3, seed: int = 7) -> RunFolder:
    """Return a run folder with a state and some parts."""
    folder = RunFolder.create("train.py", base)
    for part in range(parts):
        folder.append(random_rows(seed + part, first_step=20 * part))
    folder.write_state(random_trace(seed))
    return folder


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return every file below a folder by its path in it."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
