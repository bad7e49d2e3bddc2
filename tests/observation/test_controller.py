"""The controller: the true share of the run stays near the budget, whatever looking costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evengrad.observation import controller as module
from evengrad.observation.controller import Controller


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    fake = Clock()
    monkeypatch.setattr(module, "time", fake)
    return iter([fake])


def _simulate(
    clock: Clock, *, step: float, light: float, deep: float, base: float, steps: int
) -> tuple[Controller, float]:
    """Run a loop in simulated time; return the controller and the seconds that looking really took."""
    controller, spent, number, resting = Controller(0.01), 0.0, 0, 0
    probing = True
    while number < steps:
        clock.now += step
        if resting:
            resting -= 1
            number += 1
            if not resting:
                probing = controller.deep_due(number)
            continue
        clock.now += base
        spent += base
        controller.spend(base)
        if probing:
            clock.now += deep
            spent += deep
            controller.deep_done(deep)
        elif controller.light_due(number):
            clock.now += light
            spent += light
            controller.light_done(number, light)
        controller.step_done(number, deep=probing)
        number += 1
        probing = controller.deep_due(number)
        if not probing:
            resting = controller.rest(number)
    return controller, spent


@pytest.mark.parametrize(
    ("step", "light", "deep", "base"),
    [
        (50e-6, 40e-6, 2e-3, 20e-6),
        (0.3e-3, 40e-6, 3e-3, 30e-6),
        (0.045, 1e-3, 12e-3, 50e-6),
        (0.4, 2e-3, 30e-3, 50e-6),
        (2.0, 5e-3, 0.4, 1e-4),
    ],
)
def test_over_a_long_run_the_share_is_within_the_budget(
    clock: Iterator[Clock], step: float, light: float, deep: float, base: float
) -> None:
    now = next(clock)
    start = now.now
    seconds = 120.0 if step < 0.1 else 2000 * step
    _, spent = _simulate(now, step=step, light=light, deep=deep, base=base, steps=int(seconds / step))
    assert spent / (now.now - start) <= 0.0115


def test_the_first_steps_are_looked_at_closely(clock: Iterator[Clock]) -> None:
    controller, _ = _simulate(next(clock), step=0.01, light=1e-4, deep=2e-3, base=1e-5, steps=40)
    assert controller.deep_steps >= 5
    assert controller.light_steps >= 5


def test_one_preemption_does_not_blind_the_light_pass(clock: Iterator[Clock]) -> None:
    now = next(clock)
    controller = Controller(0.01)
    for number in range(30):
        now.now += 0.01
        controller.light_done(number, 1.0 if number == 20 else 1e-5)
        controller.step_done(number, deep=False)
    assert any(controller.light_due(number) for number in range(30, 40))


def test_slow_steps_are_never_rested_through(clock: Iterator[Clock]) -> None:
    now = next(clock)
    controller = Controller(0.01)
    for number in range(60):
        now.now += 0.1
        controller.spend(3e-5)
        controller.step_done(number, deep=False)
    assert controller.rest(60) == 0
