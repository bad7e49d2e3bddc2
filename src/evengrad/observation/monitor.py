"""The monitor: what the rest of evengrad and the user hold of a watched run."""

from __future__ import annotations

import logging
import os
import platform
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.optim import Optimizer

from evengrad.core.event import Event, EventKind
from evengrad.core.info import Environment, Overhead
from evengrad.core.trace import Trace
from evengrad.observation.controller import Controller
from evengrad.observation.session import Session
from evengrad.observation.store import Row

logger = logging.getLogger(__name__)

# Noted only while the order is followed; their counts are scaled up to all steps.
_LOOP_ORDER = (
    EventKind.ZERO_GRAD_MISSING,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
    EventKind.CLIP_AFTER_STEP,
    EventKind.CLIP_BEFORE_UNSCALE,
    EventKind.DOUBLE_STEP,
    EventKind.STEP_WITHOUT_BACKWARD,
)


class Monitor:
    """Watches one run; ``evengrad.watch`` makes it. ``trace`` and ``drain`` may be called from any thread."""

    def __init__(self, *, budget: float = 0.01, max_steps: int | None = None) -> None:
        self._controller = Controller(budget)
        self._session = Session(self._controller, max_steps)
        self._session.news.append(self._tell)
        self._subscribers: list[Callable[[Monitor], None]] = []
        self._events: list[Event] = []

    @property
    def off(self) -> bool:
        """Whether nothing is (any longer) being watched."""
        return self._session.off

    @property
    def failure(self) -> str | None:
        """Why evengrad switched itself off, or None."""
        return self._session.failure

    @property
    def steps(self) -> int:
        """Optimizer steps (rounds of them, where several optimizers take turns) seen so far."""
        return self._session.optimizers.count()

    def install(self) -> None:
        """Put the hooks in place and prepare the first probe."""
        self._session.interceptor.install()
        os.register_at_fork(after_in_child=_forgetting(weakref.ref(self)))
        self._session.begin_probe()

    def give(self, models: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        """Note the models and optimizers that the user names."""
        for model in models:
            self._session.registry.give(model)
        for optimizer in optimizers:
            self._session.optimizers.add(optimizer)

    def know(self, modules: Sequence[nn.Module]) -> None:
        """Note modules that exist, without saying that they are the model."""
        for module in modules:
            self._session.registry.add(module)

    def blow(self, where: str, error: Exception) -> None:
        """Switch off after a fault of ours."""
        self._session.blow(where, error)

    def disable(self) -> None:
        """Watch nothing."""
        self._session.off = True

    def close(self) -> Trace:
        """Take every hook off and return the trace; doing so again changes nothing."""
        if not self._session.off:
            try:
                self._session.light.settle()
                self._session.remove()
            except Exception as error:
                self._session.blow("the end", error)
        return self.trace()

    def subscribe(self, callback: Callable[[Monitor], None]) -> None:
        """Call back when a deep probe has finished, and when a non-finite number was seen."""
        self._subscribers.append(callback)

    def _tell(self) -> None:
        for callback in list(self._subscribers):
            try:
                callback(self)
            except Exception as error:
                self._subscribers.remove(callback)
                logger.debug("a subscriber failed", exc_info=error)

    def note(self, event: Event) -> None:
        """Add an event of somebody else's to the trace."""
        self._events.append(event)

    def drain(self) -> list[Row]:
        """Return the rows recorded since the last call."""
        return self._session.store.drain()

    def trace(self) -> Trace:
        """Return what has been measured so far."""
        session, store = self._session, self._session.store
        return Trace(
            steps=self.steps,
            modules=session.registry.infos(),
            layers=session.deep.layer_infos(),
            activations=tuple(session.deep.activations.values()),
            parameters=session.optimizers.parameter_infos(),
            optimizers=session.optimizers.infos(),
            series=store.series(),
            ledgers=store.ledgers(),
            time_profiles=store.profiles(),
            events=self._all_events(),
            environment=Environment(torch.__version__, platform.python_version(), session.device),
            overhead=self._overhead(),
        )

    def _all_events(self) -> tuple[Event, ...]:
        followed = max(self._session.followed_steps, 1)
        factor = max(self.steps / followed, 1.0)
        events = []
        for event in (*self._session.store.events(), *self._events):
            if event.kind not in _LOOP_ORDER:
                events.append(event)
                continue
            # Still so when the order was last looked at: so to the end, for all we know.
            lasts = event.last_step >= followed - 2
            last = max(self.steps - 1, event.last_step) if lasts else event.last_step
            events.append(replace(event, count=min(round(event.count * factor), self.steps), last_step=last))
        return tuple(sorted(events, key=lambda event: event.step))

    def _overhead(self) -> Overhead:
        controller = self._controller
        return Overhead(
            controller.share(),
            controller.budget,
            controller.own_seconds,
            controller.run_seconds(),
            controller.light_steps,
            controller.deep_steps,
        )

    def forget_in_child(self) -> None:
        """In a forked child: take the hooks off and leave it alone."""
        if not self._session.off:
            self._session.remove()


def _forgetting(reference: weakref.ref[Monitor]) -> Callable[[], None]:
    """Return what a forked child is to do; holds the monitor weakly, since it can never be unregistered."""

    def forget() -> None:
        monitor = reference()
        if monitor is not None:
            try:
                monitor.forget_in_child()
            except Exception as error:
                logger.debug("in a forked child", exc_info=error)

    return forget
