"""The early warning speaks once, looks rarely, and cannot do harm."""

from __future__ import annotations

import time

import pytest

from evengrad.cli.live import EarlyWarning
from evengrad.cli.options import Language
from evengrad.core.event import Event, EventKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from tests.builders import TraceBuilder, healthy_mlp


class Run:
    """As much of a monitor as a listener sees."""

    def __init__(self, trace: Trace) -> None:
        self.current = trace
        self.asked = 0
        self.notes: list[Event] = []

    @property
    def steps(self) -> int:
        return self.current.steps

    def trace(self) -> Trace:
        self.asked += 1
        return self.current

    def note(self, event: Event) -> None:
        self.notes.append(event)


class BrokenRun(Run):
    """A monitor whose trace cannot be had."""

    def trace(self) -> Trace:
        self.asked += 1
        raise RuntimeError("no trace")


class SlowRun(Run):
    """A monitor whose trace takes 50 ms."""

    def trace(self) -> Trace:
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        return super().trace()


def exploding(steps: int = 3) -> Trace:
    """Return the trace of a deep net that has just begun, on its way to NaN."""
    return (
        TraceBuilder(steps=steps)
        .mlp(20)
        .optimizer("SGD", lr=0.1)
        .series(Statistic.LOSS, "", lambda step: 10.0 ** min(3 * step, 30))
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e5, last=1e-2)
        .per_layer(Statistic.GRAD_OUTPUT_RMS, first=1e3, last=1e-4)
        .per_layer(Statistic.UPDATE_RATIO, first=10.0, last=1.0)
        .ledger(0, activation=-1.0, weight=8.0)
        .ledger(max(0, steps - 1), activation=-1.0, weight=8.0)
        .build()
    )


@pytest.mark.parametrize("language", Language)
def test_growth_across_depth_is_said_once_and_noted(language: Language, capfd: pytest.CaptureFixture[str]) -> None:
    run, warning = Run(exploding()), EarlyWarning(language)
    for steps in (3, 6, 12, 24):
        run.current = exploding(steps)
        warning(run)  # type: ignore[arg-type]
    seen = capfd.readouterr()
    assert seen.out == ""
    (line,) = seen.err.splitlines()
    assert line.startswith({Language.EN: "evengrad: step 2: ", Language.ZH_TW: "evengrad: 第 2 步："}[language])
    assert "7.0" in line
    (event,) = run.notes
    assert (event.kind, event.step, event.details) == (EventKind.EARLY_WARNING, 2, {"rule": "exploding-gradient"})


def test_healthy_run_hears_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run, warning = Run(healthy_mlp()), EarlyWarning(Language.EN)
    for _ in range(5):
        warning(run)  # type: ignore[arg-type]
    assert (run.asked, run.notes) == (5, [])
    assert capfd.readouterr().err == ""


def test_dear_looks_are_given_up_after_some_tenths_of_a_second() -> None:
    run, warning = SlowRun(healthy_mlp()), EarlyWarning(Language.EN)
    for _ in range(200):
        warning(run)  # type: ignore[arg-type]
    assert 3 <= run.asked <= 6


def test_fault_ends_the_looking_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    run, warning = BrokenRun(exploding()), EarlyWarning(Language.EN)
    for steps in (3, 30, 300):
        run.current = exploding(steps)
        warning(run)  # type: ignore[arg-type]
    assert run.asked == 1
    assert capfd.readouterr().err == ""
