"""Everything that a forward and a backward pass may change, as it was: the check must leave no trace."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def same_randomness() -> Iterator[None]:
    """Put the random states of torch (every device in use), Python and NumPy back at the end."""
    cpu, plain = torch.get_rng_state(), random.getstate()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    numpy = sys.modules.get("numpy")
    legacy = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        random.setstate(plain)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        if numpy is not None:
            numpy.random.set_state(legacy)


def sow(seed: int) -> None:
    """Seed torch, Python and NumPy."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put a model back at the end: buffers, modes and attributes of every module.

    Weights are not copied, since nothing here writes into them; buffers are, and are small.
    """
    kept = [_Kept(module) for module in model.modules()]
    silenced = [(hooks, dict(hooks)) for p in model.parameters() for hooks in _leaf_hooks(p)]
    for hooks, _ in silenced:
        hooks.clear()  # they would act on gradients: step an optimizer, log, count
    contents = {id(buffer): (buffer, buffer.detach().clone()) for buffer in model.buffers()}
    try:
        yield
    finally:
        for one in kept:
            one.put_back()
        for hooks, content in silenced:
            hooks.update(content)
        with torch.no_grad():
            for buffer, old in contents.values():
                if not _same(buffer, old):
                    buffer.copy_(old)


def _leaf_hooks(parameter: Tensor) -> Iterator[dict[int, Any]]:
    """Yield the tables of the hooks that act when a parameter gets its gradient."""
    for table in (parameter._backward_hooks, parameter._post_accumulate_grad_hooks):
        if table:
            yield table


class _Kept:
    """What one module held: its attributes, and what stands in plain containers among them."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        self._tables = {name: dict(vars(module)[name]) for name in _TABLES}
        self._containers = {
            name: type(value)(value)
            for name, value in self._attributes.items()
            if type(value) in (list, dict, set) and name not in _TABLES
        }

    def put_back(self) -> None:
        attributes: dict[str, Any] = vars(self._module)
        for name in [name for name in attributes if name not in self._attributes]:
            del attributes[name]
        attributes.update(self._attributes)
        for name, table in self._tables.items():
            attributes[name].clear()
            attributes[name].update(table)
        for name, content in self._containers.items():
            attributes[name].clear()
            attributes[name].extend(content) if isinstance(content, list) else attributes[name].update(content)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


@contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Look at a model as training does, but leave alone the parts of it that were put into evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        if not any(modes.values()):
            model.train()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
