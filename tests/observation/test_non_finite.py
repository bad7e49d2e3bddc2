"""Planted non-finite faults: step, operation, phase and line are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import evengrad
from evengrad.core.event import Event, EventKind

Faulty = Callable[[Tensor, bool], Tensor]


def log_of_zero(output: Tensor, now: bool) -> Tensor:
    p = torch.softmax(output, 1)
    if now:
        p = p * 0.0
    return -torch.log(p).mean()


def overflowing_exp(output: Tensor, now: bool) -> Tensor:
    return torch.exp(output * (1e4 if now else 1.0)).mean()


def zero_over_zero(output: Tensor, now: bool) -> Tensor:
    size = output.abs().sum(1, keepdim=True) * (0.0 if now else 1.0)
    return ((output * (0.0 if now else 1.0)) / size).square().mean()


def root_of_negative(output: Tensor, now: bool) -> Tensor:
    return torch.sqrt(output.square().mean() - (1e3 if now else 0.0))


def power_of_negative(output: Tensor, now: bool) -> Tensor:
    return (output.square().mean() - (1e3 if now else 0.0)).pow(0.5)


def arc_cosine_outside(output: Tensor, now: bool) -> Tensor:
    return torch.acos(torch.tanh(output) * (2.0 if now else 0.5) + (5.0 if now else 0.0)).mean()


def _run(faulty: Faulty, at: int, *, steps: int = 60) -> tuple[Event, ...]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with evengrad.watch(model, optimizer) as monitor:
        for step in range(steps):
            optimizer.zero_grad()
            faulty(model(torch.randn(6, 4)), step == at).backward()
            optimizer.step()
    assert monitor.failure is None
    return monitor.trace().events_of(EventKind.NON_FINITE)


FORWARD: list[tuple[Faulty, str]] = [
    (log_of_zero, "Log"),
    (overflowing_exp, "Exp"),
    (zero_over_zero, "Div"),
    (root_of_negative, "Sqrt"),
    (power_of_negative, "Pow"),
    (arc_cosine_outside, "Acos"),
]


@pytest.mark.parametrize("at", [0, 7, 45])
@pytest.mark.parametrize(("faulty", "operation"), FORWARD)
def test_a_forward_fault_names_step_operation_and_line(faulty: Faulty, operation: str, at: int) -> None:
    event = _run(faulty, at)[0]
    assert (event.step, event.details["phase"], event.details["operation"]) == (at, "forward", operation)
    assert event.source is not None
    lines, first = faulty.__code__, faulty.__code__.co_firstlineno
    last = max(line for _, _, line in lines.co_lines() if line is not None)
    assert first <= event.source.line <= last


def root_at_zero(output: Tensor, now: bool) -> Tensor:
    difference = output - output.detach() if now else output
    return torch.sqrt(difference.square().sum(1)).mean()


@pytest.mark.parametrize("at", [0, 2, 9, 45])
def test_a_backward_fault_names_step_and_operation(at: int) -> None:
    event = _run(root_at_zero, at)[0]
    assert (event.step, event.details["phase"], event.details["operation"]) == (at, "backward", "Sqrt")


def test_a_bad_batch_is_blamed_on_the_data() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with evengrad.watch(model, optimizer) as monitor:
        for step in range(8):
            x = torch.randn(6, 4)
            if step == 5:
                x[2, 1] = float("nan")
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    event = monitor.trace().events_of(EventKind.NON_FINITE)[0]
    assert (event.step, event.details["phase"]) == (5, "data")


def test_a_finite_run_has_no_such_event() -> None:
    assert _run(log_of_zero, at=-1) == ()
