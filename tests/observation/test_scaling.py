"""A GradScaler's decisions: what it skips is a step of the loop, what it only passes on is none of its doing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import evengrad
from evengrad.core.event import EventKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace


def _train(steps: int, *, enabled: bool, poisoned: frozenset[int] = frozenset()) -> Trace:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=enabled, init_scale=256.0)
    with evengrad.watch(model, optimizer) as monitor:
        for step in range(steps):
            optimizer.zero_grad()
            scaler.scale(model(torch.randn(8, 4)).square().mean()).backward()
            if step in poisoned and model.weight.grad is not None:
                model.weight.grad[0, 0] = float("inf")
            scaler.step(optimizer)
            scaler.update()
    assert monitor.failure is None
    return monitor.trace()


def test_a_disabled_scaler_is_no_scaler() -> None:
    trace = _train(300, enabled=False)
    assert trace.steps == 300
    assert not trace.events_of(EventKind.STEP_SKIPPED)
    assert len(trace.get(Statistic.LOSS_SCALE)) == 0


@pytest.mark.parametrize("steps", [12, 300])
def test_skipped_steps_are_counted_and_noted(steps: int) -> None:
    poisoned = frozenset({3, 4, 9})
    trace = _train(steps, enabled=True, poisoned=poisoned)
    assert trace.steps == steps
    (event,) = trace.events_of(EventKind.STEP_SKIPPED)
    assert (event.step, event.count, event.last_step) == (3, 3, 9)
    skipped = trace.get(Statistic.AMP_SKIPPED)
    assert {int(s) for s, value in zip(skipped.steps, skipped.values, strict=True) if value} == poisoned
    # What a scaler skips by design is no fault of the gradients.
    assert not trace.events_of(EventKind.NON_FINITE, EventKind.NON_FINITE_GRADIENT)
