"""The order of the training loop: each wrong order is noted, each right one is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import evengrad
from evengrad.core.event import EventKind

ORDER = (
    EventKind.ZERO_GRAD_MISSING,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP,
    EventKind.CLIP_BEFORE_UNSCALE,
    EventKind.DOUBLE_STEP,
    EventKind.STEP_WITHOUT_BACKWARD,
    EventKind.FOREIGN_PARAMETERS,
)
Loop = Callable[[nn.Module, torch.optim.Optimizer], None]


def _events(loop: Loop, *, steps: int = 6) -> dict[EventKind, int]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with evengrad.watch(model, optimizer) as monitor:
        for _ in range(steps):
            loop(model, optimizer)
    assert monitor.failure is None
    return {event.kind: event.count for event in monitor.trace().events_of(*ORDER)}


def _backward(model: nn.Module, factor: float = 1.0) -> None:
    (model(torch.randn(5, 4)).square().mean() * factor).backward()


def _clip(model: nn.Module) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def no_zero_grad(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.step()


def zero_before_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.zero_grad()
    optimizer.step()


def zero_in_place_before_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()


def clip_before_backward(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    _clip(model)
    _backward(model)
    optimizer.step()


def clip_after_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    _backward(model)
    optimizer.step()
    _clip(model)


def step_twice(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    _backward(model)
    optimizer.step()
    optimizer.step()


@pytest.mark.parametrize(
    ("loop", "kind"),
    [
        (no_zero_grad, EventKind.ZERO_GRAD_MISSING),
        (zero_before_step, EventKind.ZERO_GRAD_BEFORE_STEP),
        (zero_in_place_before_step, EventKind.ZERO_GRAD_BEFORE_STEP),
        (clip_before_backward, EventKind.CLIP_BEFORE_BACKWARD),
        (clip_after_step, EventKind.CLIP_AFTER_STEP),
        (step_twice, EventKind.DOUBLE_STEP),
    ],
)
def test_a_wrong_order_is_noted_on_nearly_every_step(loop: Loop, kind: EventKind) -> None:
    assert _events(loop)[kind] >= 5


def test_clipping_scaled_gradients_is_noted() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)

    def loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        scaler.scale(model(torch.randn(5, 4)).square().mean()).backward()
        _clip(model)
        scaler.step(optimizer)
        scaler.update()

    assert _events(loop) == {EventKind.CLIP_BEFORE_UNSCALE: 6}


def plain(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    _backward(model)
    _clip(model)
    optimizer.step()


def zero_at_the_end(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.step()
    optimizer.zero_grad()


def zero_by_model(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.zero_grad()
    _backward(model)
    optimizer.step()


def none_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.step()
    for parameter in model.parameters():
        parameter.grad = None


def zero_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    _backward(model)
    optimizer.step()
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.data.zero_()


def accumulate(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(4):
        _backward(model, 0.25)
    optimizer.step()
    optimizer.zero_grad()


def two_losses(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    _backward(model)
    _backward(model)
    optimizer.step()


def by_autograd_grad(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(model(torch.randn(5, 4)).square().mean(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def filled_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()


@pytest.mark.parametrize(
    "loop",
    [
        plain,
        zero_at_the_end,
        zero_by_model,
        none_by_hand,
        zero_by_hand,
        accumulate,
        two_losses,
        by_autograd_grad,
        filled_by_hand,
    ],
)
def test_a_right_order_is_not_noted(loop: Loop) -> None:
    assert _events(loop) == {}


def test_gan_turns_are_in_order() -> None:
    torch.manual_seed(0)
    generator, critic = nn.Linear(3, 4), nn.Linear(4, 1)
    for_generator = torch.optim.Adam(generator.parameters())
    for_critic = torch.optim.Adam(critic.parameters())
    with evengrad.watch([generator, critic], [for_generator, for_critic]) as monitor:
        for _ in range(6):
            fake = generator(torch.randn(5, 3))
            for_critic.zero_grad()
            (critic(fake.detach()).mean() - critic(torch.randn(5, 4)).mean()).backward()
            for_critic.step()
            for_generator.zero_grad()
            (-critic(fake).mean()).backward()
            for_generator.step()
    trace = monitor.trace()
    assert trace.steps == 6
    assert trace.events_of(*ORDER) == ()


def test_an_optimizer_that_holds_another_model_is_noted() -> None:
    torch.manual_seed(0)
    forgotten, trained = nn.Linear(4, 1), nn.Linear(4, 1)
    optimizer = torch.optim.SGD(forgotten.parameters(), lr=0.1)
    with evengrad.watch(trained, optimizer) as monitor:
        for _ in range(4):
            optimizer.zero_grad()
            trained(torch.randn(5, 4)).square().mean().backward()
            optimizer.step()
    assert EventKind.FOREIGN_PARAMETERS in {event.kind for event in monitor.trace().events}
