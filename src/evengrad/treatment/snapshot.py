"""The state of a model, its optimizer and the random generators, kept to be put back bit for bit."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, eq=False)
class _Kept:
    """A tensor, its contents, and its gradient with contents."""

    tensor: Tensor
    value: Tensor
    requires_grad: bool
    gradient: Tensor | None
    gradient_value: Tensor | None

    @staticmethod
    def of(tensor: Tensor) -> _Kept:
        gradient = tensor.grad if tensor.is_leaf else None
        value = gradient.detach().clone() if gradient is not None else None
        return _Kept(tensor, tensor.detach().clone(), tensor.requires_grad, gradient, value)

    def put_back(self) -> None:
        self.tensor.detach().copy_(self.value)
        if not self.tensor.is_leaf:
            return
        self.tensor.requires_grad_(self.requires_grad)
        self.tensor.grad = self.gradient
        if self.gradient is not None and self.gradient_value is not None:
            self.gradient.detach().copy_(self.gradient_value)


class Snapshot:
    """Weights, buffers, gradients, structure and modes of a model; groups and state of an optimizer; random states."""

    def __init__(self, model: nn.Module, optimizer: Optimizer | None) -> None:
        modules = list(model.modules())
        self._tables = [
            (table, dict(table)) for m in modules for table in (m._parameters, m._buffers, m._modules)
        ]  # fmt: skip
        self._modes = [(module, module.training) for module in modules]
        held = [p for group in optimizer.param_groups for p in group["params"]] if optimizer is not None else []
        tensors = [*model.parameters(), *model.buffers(), *held]
        self._tensors = [_Kept.of(tensor) for tensor in {id(tensor): tensor for tensor in tensors}.values()]
        self._optimizer = optimizer
        self._groups = _groups_of(optimizer)
        self._state = _state_of(optimizer)
        self._random = _random_states()

    def put_back(self) -> None:
        """Restore everything; tensors, groups and lists stay the objects that they were."""
        for table, contents in self._tables:
            table.clear()
            table.update(contents)  # type: ignore[arg-type]
        for module, training in self._modes:
            module.training = training
        with torch.no_grad():
            for kept in self._tensors:
                kept.put_back()
        if self._optimizer is not None:
            _restore_optimizer(self._optimizer, self._groups, self._state)
        for restore in self._random:
            restore()


def _groups_of(optimizer: Optimizer | None) -> list[tuple[dict[str, object], dict[str, object], list[Tensor]]]:
    groups = optimizer.param_groups if optimizer is not None else []
    return [
        (group, {k: _copied(v) for k, v in group.items() if k != "params"}, list(group["params"])) for group in groups
    ]


def _state_of(optimizer: Optimizer | None) -> list[tuple[Tensor, dict[str, object]]]:
    if optimizer is None:
        return []
    return [(p, {key: _copied(value) for key, value in state.items()}) for p, state in optimizer.state.items()]


def _copied(value: object) -> object:
    """Return a copy of a setting or of optimizer state; lists of tensors are what L-BFGS keeps."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _restore_optimizer(
    optimizer: Optimizer,
    groups: list[tuple[dict[str, object], dict[str, object], list[Tensor]]],
    state: list[tuple[Tensor, dict[str, object]]],
) -> None:
    for group, settings, parameters in groups:
        held = group["params"]
        assert isinstance(held, list)
        held[:] = parameters
        for name in [name for name in group if name != "params" and name not in settings]:
            del group[name]
        group.update({name: _copied(value) for name, value in settings.items()})
    optimizer.param_groups[:] = [group for group, _, _ in groups]
    optimizer.state.clear()
    for parameter, values in state:
        optimizer.state[parameter] = {name: _copied(value) for name, value in values.items()}


def _random_states() -> list[Callable[[], object]]:
    """Return functions that put the random states of Python, NumPy and torch back."""
    python, cpu = random.getstate(), torch.get_rng_state()
    restores: list[Callable[[], object]] = [lambda: random.setstate(python), lambda: torch.set_rng_state(cpu)]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kept = numpy.random.get_state()
        restores.append(lambda: numpy.random.set_state(kept))
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        devices = torch.cuda.get_rng_state_all()
        restores.append(lambda: torch.cuda.set_rng_state_all(devices))
    return restores
