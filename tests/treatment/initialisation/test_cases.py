"""Programs whose fault is their initialisation, begun with another one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.optim.optimizer import register_optimizer_step_pre_hook

from evengrad import init_
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue

CHAINS = (
    "deep-sigmoid-mlp", "deep-sigmoid-conv", "deep-relu-default-init", "tanh-tiny-init", "tanh-chaotic",
    "residual-without-norm", "deep-gelu-adam", "deep-relu-adam", "deeper-relu-adam", "relu-double-he",
    "hardtanh-large-weights", "conv-unit-init",
)  # fmt: skip
REPAIRED = (
    "deep-sigmoid-mlp", "deep-relu-default-init", "tanh-tiny-init", "tanh-chaotic", "residual-without-norm",
    "deep-gelu-adam", "relu-double-he", "hardtanh-large-weights", "zero-init-mlp", "dead-relu-bias", "dead-conv-bias",
    "conv-unit-init",
)  # fmt: skip


class FirstStepDone(Exception):
    pass


@contextmanager
def initialised(method: str) -> Iterator[None]:
    """Draw the weights of the first model that is called, just before it is, with what it is called with."""
    drawn: list[nn.Module] = []

    def draw(module: nn.Module, inputs: tuple[object, ...]) -> None:
        if not drawn and next(module.parameters(), None) is not None:
            drawn.append(module)
            init_(module, method, inputs)

    handle = torch_module.register_module_forward_pre_hook(draw)
    try:
        yield
    finally:
        handle.remove()


def gradients_of_first_step(case: Case, method: str) -> list[float]:
    """Return log10 of the rms of the gradient at every layer's output but the head's."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d) and torch.is_grad_enabled() and isinstance(output, Tensor):
            output.retain_grad()
            outputs.append(output)

    def stop(*_: object) -> None:
        raise FirstStepDone

    with ExitStack() as stack:
        stack.enter_context(initialised(method))
        stack.callback(register_optimizer_step_pre_hook(stop).remove)
        stack.callback(torch_module.register_module_forward_hook(keep).remove)
        with pytest.raises(FirstStepDone):
            case.run(0)
    gradients = [output.grad for output in outputs if output.grad is not None]  # not those of init_'s own pass
    return [math.log10(gradient.square().mean().sqrt().item()) for gradient in gradients[:-1]]


def case_of(name: str) -> Case:
    found: Case = catalogue("evengrad.cases")[name].CASE
    return found


@pytest.mark.parametrize("name", CHAINS)
def test_critical_keeps_the_gradient_within_a_decade(name: str) -> None:
    sizes = gradients_of_first_step(case_of(name), "critical")
    assert len(sizes) >= 4
    assert max(sizes) - min(sizes) < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", REPAIRED)
def test_critical_repairs_the_program(name: str) -> None:
    case = case_of(name)
    with initialised("critical"):
        loss = case.run(0)
    assert case.trained(loss)
