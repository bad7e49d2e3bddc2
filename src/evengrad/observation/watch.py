"""The two ways in: a context manager round a loop, and a whole process before it imports torch."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from evengrad.core.event import Event
from evengrad.core.statistic import Statistic
from evengrad.errors import UsageError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from evengrad.core.trace import Trace
    from evengrad.observation.monitor import Monitor

Row = tuple[int, Statistic, str, float]
_active: list[Monitor] = []


def switched_off() -> bool:
    """Return whether the environment says ``EVENGRAD=0``."""
    return os.environ.get("EVENGRAD", "").strip().lower() in ("0", "off", "false", "no")


@contextmanager
def watch(
    model: nn.Module | Iterable[nn.Module] | None = None,
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    *,
    budget: float = 0.01,
) -> Iterator[Monitor]:
    """Watch the training loop inside a ``with`` block.

    Watching twice is watching once: an inner block yields the outer one's monitor. With ``EVENGRAD=0`` in the
    environment the monitor sees nothing.

    Args:
        model: The model or models; found by themselves when left out.
        optimizer: The optimizer or optimizers; found by themselves when left out.
        budget: Share of the run time that watching may cost, above 0 and at most 1.

    Yields:
        The monitor: ``monitor.trace()`` is what was measured so far.

    Raises:
        UsageError: The budget is not above 0 and at most 1.

    Example:
        >>> import evengrad
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with evengrad.watch(model, optimizer) as monitor:
        ...     model(torch.ones(4, 2)).sum().backward()
        ...     optimizer.step()
        >>> monitor.trace().steps
        1
    """
    check_budget(budget)
    from evengrad.observation.monitor import Monitor

    if _active and not _active[-1].off:
        _active[-1].give(_modules(model), _optimizers(optimizer))
        yield _active[-1]
        return
    monitor = Monitor(budget=budget)
    if switched_off():
        monitor.disable()
        yield monitor
        return
    monitor.give(_modules(model), _optimizers(optimizer))
    if model is None or optimizer is None:
        _introduce(monitor, models=model is None, optimizers=optimizer is None)
    del model, optimizer  # the block may outlive them
    monitor.install()
    _active.append(monitor)
    try:
        yield monitor
    finally:
        _active.remove(monitor)
        monitor.close()


def check_budget(budget: float) -> None:
    """Raise unless a budget is a share.

    Raises:
        UsageError: The budget is not above 0 and at most 1.
    """
    if not 0 < budget <= 1:
        raise UsageError(f"expected a budget above 0 and at most 1 (a share of the run time), got {budget}; try 0.01")


def _modules(given: object) -> list[nn.Module]:
    from torch import nn

    if given is None:
        return []
    items = [given] if isinstance(given, nn.Module) else list(given)  # type: ignore[call-overload]
    for item in items:
        if not isinstance(item, nn.Module):
            raise UsageError(f"expected a torch.nn.Module to watch, got {type(item).__name__}")
    return list(items)


def _optimizers(given: object) -> list[Optimizer]:
    from torch.optim import Optimizer

    if given is None:
        return []
    items = [given] if isinstance(given, Optimizer) else list(given)  # type: ignore[call-overload]
    for item in items:
        if not isinstance(item, Optimizer):
            raise UsageError(f"expected a torch.optim.Optimizer to watch, got {type(item).__name__}")
    return list(items)


def _introduce(monitor: Monitor, *, models: bool, optimizers: bool) -> None:
    """Make every module and optimizer that exists known to a monitor, by asking the garbage collector."""
    from torch import nn
    from torch.optim import Optimizer

    # issubclass of the type: isinstance would touch lazy and weak proxies.
    objects = gc.get_objects()
    if models:
        monitor.know([item for item in objects if issubclass(type(item), nn.Module)])
    if optimizers:
        monitor.give([], [item for item in objects if issubclass(type(item), Optimizer)])


class ProcessMonitor:
    """A monitor that begins when the script imports torch; before that, and without torch, an empty trace."""

    def __init__(self, *, budget: float, max_steps: int | None) -> None:
        check_budget(budget)
        self._budget, self._max_steps = budget, max_steps
        self._monitor: Monitor | None = None
        self._waiting: list[Callable[[Monitor], None]] = []
        self._finder: _AfterImport | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Install now if torch is there, else when it has been imported."""
        if "torch" in sys.modules:
            self._install()
        else:
            self._finder = _AfterImport("torch", self._install)
            sys.meta_path.insert(0, self._finder)

    def _install(self) -> None:
        if os.getpid() != self._pid:
            return
        try:
            from evengrad.observation.monitor import Monitor

            monitor = Monitor(budget=self._budget, max_steps=self._max_steps)
            for callback in self._waiting:
                monitor.subscribe(callback)
            self._monitor = monitor
            monitor.install()
            _active.append(monitor)
        except Exception as error:
            if self._monitor is not None:
                self._monitor.blow("start", error)
            else:
                from evengrad.observation.fuse import say  # not at the top: it needs torch

                say(f"cannot start ({type(error).__name__}: {error}); your run goes on unwatched")

    @property
    def off(self) -> bool:
        """Whether nothing is (any longer) being watched."""
        return self._monitor is None or self._monitor.off

    @property
    def failure(self) -> str | None:
        """Why evengrad switched itself off, or None."""
        return self._monitor.failure if self._monitor is not None else None

    @property
    def steps(self) -> int:
        """Optimizer steps seen so far."""
        return self._monitor.steps if self._monitor is not None else 0

    def subscribe(self, callback: Callable[[Monitor], None]) -> None:
        """Call back when a deep probe has finished, and when a non-finite number was seen."""
        self._waiting.append(callback)
        if self._monitor is not None:
            self._monitor.subscribe(callback)

    def note(self, event: Event) -> None:
        """Add an event to the trace."""
        if self._monitor is not None:
            self._monitor.note(event)

    def drain(self) -> Sequence[Row]:
        """Return the rows recorded since the last call."""
        return self._monitor.drain() if self._monitor is not None else []

    def trace(self) -> Trace:
        """Return what has been measured so far."""
        return self._monitor.trace() if self._monitor is not None else _empty()

    def close(self) -> Trace:
        """Take every hook off and return the trace."""
        if self._finder is not None and self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        if self._monitor is None:
            return _empty()
        if self._monitor in _active:
            _active.remove(self._monitor)
        return self._monitor.close()


def _empty() -> Trace:
    # Not at the top: it loads numpy, and a script may still set what numpy's thread pools read.
    from evengrad.core.trace import Trace

    return Trace()


def watch_process(*, budget: float = 0.01, max_steps: int | None = None) -> ProcessMonitor:
    """Watch whatever this process trains from now on; may be called before torch is imported.

    Args:
        budget: Share of the run time that watching may cost.
        max_steps: Optimizer steps after which to stop watching; None: never.

    Returns:
        The monitor; sees nothing with ``EVENGRAD=0`` in the environment.
    """
    monitor = ProcessMonitor(budget=budget, max_steps=max_steps)
    if not switched_off():
        monitor.start()
    return monitor


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls back right after a module has been imported for the first time; finds nothing itself."""

    def __init__(self, name: str, callback: Callable[[], None]) -> None:
        self._name = name
        self._callback = callback

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that the other finders give, with a loader that calls back."""
        if fullname != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module
        callback = self._callback

        def exec_module(module: ModuleType) -> None:
            execute(module)
            callback()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
