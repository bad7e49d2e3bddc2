"""Hears what a measured pass needs to know of torch: where modules are made, and whose saved tensors are hooked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.optim import Optimizer

from evengrad.observation.deep import SavedTensorHooks
from evengrad.observation.intercept import Interceptor
from evengrad.observation.registry import Registry
from evengrad.observation.sources import calling_line


class Listener:
    """Told of every event of a training loop; a check has no loop, so most of them mean nothing."""

    def __init__(self, registry: Registry, hooks: SavedTensorHooks) -> None:
        self.idle = False
        self.resting = 0
        self.ticks = 0
        self.glances: list[float] = []
        self._registry = registry
        self._hooks = hooks

    def module_made(self, module: nn.Module) -> None:
        """Note a module and the line that made it."""
        self._registry.add(module, calling_line(skip_constructor_of=module))

    def saved_tensor_hooks(self, *, entering: bool) -> None:
        """Remember where saved tensors must not be unpacked (checkpointing)."""
        self._hooks.enter() if entering else self._hooks.leave()

    def wake(self) -> None:
        """Do nothing."""

    def rested(self) -> None:
        """Do nothing."""

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Do nothing."""

    def before_backward(self, roots: Sequence[Tensor], *, accumulating: bool = True) -> None:
        """Do nothing."""

    def after_backward(self) -> None:
        """Do nothing."""

    def clipped(self, parameters: object, max_norm: object, total: object, *, by_value: bool) -> None:
        """Do nothing."""

    def zeroed(self, owner: object) -> None:
        """Do nothing."""

    def scaled(self, scaler: object, outputs: object, result: object) -> None:
        """Do nothing."""

    def unscaled(self, optimizer: Optimizer) -> None:
        """Do nothing."""

    def before_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Do nothing."""

    def after_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Do nothing."""

    def before_step(self, optimizer: Optimizer, *, by_closure: bool) -> None:
        """Do nothing."""

    def gradients_ready(self, optimizer: Optimizer) -> None:
        """Do nothing."""

    def after_step(self, optimizer: Optimizer) -> None:
        """Do nothing."""

    def compiling(self, *, exact: bool) -> None:
        """Do nothing."""


@contextmanager
def listening(registry: Registry, hooks: SavedTensorHooks) -> Iterator[None]:
    """Listen inside a ``with`` block."""
    interceptor = Interceptor(Listener(registry, hooks))
    interceptor.install()
    try:
        yield
    finally:
        interceptor.remove()
