"""The monitor: hears of every event of a training loop, decides when to look, and answers with a trace."""

from __future__ import annotations

import logging
import math
import os
import platform
import time
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evengrad.core.event import Event, EventKind
from evengrad.core.info import Environment, Overhead, SourceLine
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.observation.amp import Scaling
from evengrad.observation.controller import Controller
from evengrad.observation.deep import DeepProbe, SavedTensorHooks
from evengrad.observation.examine import Examiner
from evengrad.observation.fuse import guarded, say
from evengrad.observation.intercept import Interceptor
from evengrad.observation.light import LightPass
from evengrad.observation.optimizers import Held, Optimizers
from evengrad.observation.protocol import Protocol
from evengrad.observation.registry import Registry
from evengrad.observation.sources import calling_line
from evengrad.observation.store import Row, Store
from evengrad.probes._base import StepView

logger = logging.getLogger(__name__)

_HOOK_SECONDS = 4e-6  # dispatch of one deep hook that our own clock does not see; measured, see the overhead benchmark


class Monitor:
    """Watches one run. Made by ``evengrad.watch`` or ``watch_process``; every public method may be called from any thread."""

    def __init__(self, *, budget: float = 0.01, max_steps: int | None = None) -> None:
        self.off = False
        self.failure: str | None = None
        self._pid = os.getpid()
        self._max_steps = max_steps
        self._store = Store()
        self._registry = Registry()
        self._optimizers = Optimizers(self._registry)
        self._controller = Controller(budget)
        self._protocol = Protocol(self._note)
        self._scaling = Scaling(self._store)
        self._hooks = SavedTensorHooks()
        self._deep = DeepProbe(self._registry, self._store, self._hooks, self.blow)
        self._light = LightPass(self._store)
        self._examiner = Examiner(self._store, self._registry, self._deep)
        self._interceptor = Interceptor(self)
        self._subscribers: list[Callable[[Monitor], None]] = []
        self._named = False
        self._compiled = False
        self._anomaly = False
        self._losses: list[float | Tensor] = []
        self._inside_step = 0
        self._deep_seconds = 0.0
        self._extra: list[Event] = []
        self._device = "cpu"
        self._lines_from_steps = 2  # probe steps whose operations are traced back to source lines

    # --- life -------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Put the hooks in place and prepare the first probe."""
        self._interceptor.install()
        os.register_at_fork(after_in_child=_in_child(weakref.ref(self)))
        self._begin_probe()

    def give(self, models: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        """Note models and optimizers that existed before the monitor."""
        for model in models:
            self._registry.give(model)
        for optimizer in optimizers:
            self._optimizers.add(optimizer)

    def know(self, modules: Sequence[nn.Module]) -> None:
        """Note modules that exist, without saying that they are the model."""
        for module in modules:
            self._registry.add(module)

    def close(self) -> Trace:
        """Take every hook off and return the trace."""
        if not self.off:
            self._flush_light()
            self._remove()
        return self.trace()

    def _remove(self) -> None:
        self.off = True
        self._interceptor.remove()
        self._deep.disarm()
        self._leave_eager()

    def blow(self, where: str, error: Exception) -> None:
        """Switch off after a fault of ours, say so once, and let the run go on."""
        if self.off:
            return
        self.failure = f"{where}: {type(error).__name__}: {error}"
        logger.debug("switched off in %s", where, exc_info=error)
        try:
            self._remove()
            self._store.note(EventKind.SELF_DISABLED, self._optimizers.step, details={"where": where, "error": repr(error)})
        except Exception as second:
            logger.debug("while switching off", exc_info=second)
        message = " ".join(str(error).split())[:120]
        say(f"switched itself off in {where} ({type(error).__name__}: {message}); your run goes on unwatched")

    # --- what others ask --------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Monitor], None]) -> None:
        """Call back when a deep probe has finished, and when a non-finite number was seen."""
        self._subscribers.append(callback)

    def note(self, event: Event) -> None:
        """Add an event of somebody else's to the trace."""
        self._extra.append(event)

    def drain(self) -> list[Row]:
        """Return the rows recorded since the last call."""
        return self._store.drain()

    @property
    def steps(self) -> int:
        """Optimizer steps (rounds) seen so far."""
        return self._optimizers.count()

    def trace(self) -> Trace:
        """Return what has been measured so far."""
        controller = self._controller
        overhead = Overhead(
            controller.share(),
            controller.budget,
            controller.own_seconds,
            controller.run_seconds(),
            controller.light_steps,
            controller.deep_steps,
        )
        return Trace(
            steps=self._optimizers.count(),
            modules=self._registry.infos(),
            layers=self._deep.layer_infos(),
            activations=tuple(self._deep.activations.values()),
            parameters=self._optimizers.parameter_infos(),
            optimizers=self._optimizers.infos(),
            series=self._store.series(),
            ledgers=self._store.ledgers(),
            time_profiles=self._store.profiles(),
            events=tuple(sorted((*self._store.events(), *self._extra), key=lambda event: event.step)),
            environment=Environment(torch.__version__, platform.python_version(), self._device),
            overhead=overhead,
        )

    # --- events of the run ------------------------------------------------------------------------------------------

    @guarded
    def module_made(self, module: nn.Module) -> None:
        """Note a module and the line that made it."""
        self._registry.add(module, calling_line(skip_constructor_of=module))

    @guarded
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Note an optimizer and the line that made it."""
        self._optimizers.add(optimizer, calling_line(skip_constructor_of=optimizer))
        self._named = False

    @guarded
    def compiling(self) -> None:
        """Take care that no hook of ours is traced."""
        if not self._compiled:
            self._compiled = True
            self._note(EventKind.COMPILED)
            self._interceptor.survive_compilation()
            if self._deep.armed:
                torch.compiler.set_stance("force_eager")

    @guarded
    def saved_tensor_hooks(self, *, entering: bool) -> None:
        """Remember where saved tensors must not be unpacked."""
        if self._deep.armed:
            self._hooks.enter() if entering else self._hooks.leave()

    @guarded
    def before_backward(self, roots: Sequence[Tensor]) -> None:
        """Note the loss; on a probe step read the graph and hook it."""
        started = time.perf_counter()
        if torch._C._current_graph_task_id() != -1 or torch._C._functorch.peek_interpreter_stack() is not None:
            return
        scaled = self._note_loss(roots)
        self._protocol.backward(scaled=scaled)
        if self._deep.armed:
            self._name_everything()
            self._deep.before_backward(roots)
            self._deep_seconds += time.perf_counter() - started
        else:
            self._controller.own_seconds += time.perf_counter() - started

    def _note_loss(self, roots: Sequence[Tensor]) -> bool:
        """Keep the loss for the step to come; examine it when it is not finite. Returns whether it was scaled."""
        scaled = False
        for root in roots:
            if root.numel() != 1 or root.is_complex():
                continue
            original = self._scaling.original(root)
            scaled = scaled or original is not None
            loss = original if original is not None else root
            if loss.numel() != 1:
                loss = root
            if loss.device.type != "cpu":
                self._losses.append(loss.detach())
                continue
            value = loss.item()
            self._losses.append(value)
            self._deep.loss_is_finite = math.isfinite(value)
            if not math.isfinite(value):
                self._non_finite_loss(roots)
        return scaled

    def _non_finite_loss(self, roots: Sequence[Tensor]) -> None:
        self._name_everything()
        step = self._optimizers.coming_step()
        if self._examiner.loss(roots, step, self._optimizers):
            self._tell()

    @guarded
    def after_backward(self) -> None:
        """On a probe step, bring the measurement together."""
        if self._deep.armed and torch._C._current_graph_task_id() == -1:
            started = time.perf_counter()
            self._stop_tracing_lines()
            with torch.no_grad():
                self._deep.after_backward(self._scaling.scale() if self._scaling.on_host else 1.0)
            self._deep_seconds += time.perf_counter() - started

    @guarded
    def clipped(self, parameters: object, max_norm: object, total: object, *, by_value: bool) -> None:
        """Note a call of a clipping function."""
        self._protocol.clip()
        if by_value or not isinstance(total, Tensor) or not isinstance(max_norm, (int, float)):
            return
        self._light.clipped(parameters, float(max_norm), total.detach())

    @guarded
    def zeroed(self, owner: object) -> None:
        """Note a ``zero_grad``."""
        if isinstance(owner, Optimizer):
            self._protocol.zero_grad(self._optimizers.add(owner).index)
        else:
            self._protocol.zero_grad(None)

    @guarded
    def scaled(self, scaler: object, outputs: object, result: object) -> None:
        """Note a scaled loss."""
        if outputs is not result:
            self._scaling.scaled(scaler, outputs, result)

    @guarded
    def unscaled(self, optimizer: Optimizer) -> None:
        """Note unscaled gradients."""
        self._protocol.unscale()

    @guarded
    def before_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Note that a GradScaler decides about a step."""
        self._scaling.begin_step()

    @guarded
    def after_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Note what it decided."""
        self._scaling.end_step(self._optimizers.coming_step())
        self._protocol.unscale()

    @guarded
    def before_step(self, optimizer: Optimizer, *, by_closure: bool) -> None:
        """Look at the gradients, if this step is to be looked at."""
        self._inside_step += 1
        if self._inside_step == 1:
            self._scaling.stepped()
            if not by_closure:
                self._look(optimizer)

    @guarded
    def gradients_ready(self, optimizer: Optimizer) -> None:
        """Look at the gradients that a closure has made; at its first evaluation."""
        if self._inside_step == 1:
            self._inside_step += 100  # later evaluations of the closure in the same step are not new steps
            self._look(optimizer)

    def _look(self, optimizer: Optimizer) -> None:
        started = time.perf_counter()
        held = self._optimizers.add(optimizer)
        if self._optimizers.is_stale(held):
            self._name_everything(force=True)
        step = self._optimizers.begin_step(held)
        self._record_loss(step)
        self._check_order(held)
        light = self._controller.light_due(step) or self._deep.armed
        if light:
            bad = self._light.take(step, held, self._scaling.still_in(optimizer))
            if bad:
                self._examiner.gradients(bad, step, held)
                self._tell()
        if self._deep.armed:
            groups = {name: optimizer.param_groups[group] for name, group in zip(held.names, held.groups, strict=True)}
            scale = self._scaling.still_in(optimizer)
            self._deep.before_step(StepView(optimizer, held.by_name(), groups, scale))
        spent = time.perf_counter() - started
        if self._deep.armed:
            self._deep_seconds += spent
        elif light:
            self._controller.light_done(step, spent)
        else:
            self._controller.own_seconds += spent

    def _record_loss(self, step: int) -> None:
        values = [value.item() if isinstance(value, Tensor) else value for value in self._take_losses()]
        if values:
            self._store.add(step, Statistic.LOSS, "", math.fsum(values) if all(map(math.isfinite, values)) else sum(values))

    def _take_losses(self) -> list[float | Tensor]:
        """Return this step's losses; those on an accelerator only on steps that are looked at anyway."""
        losses, self._losses = self._losses, []
        looked_at = self._deep.armed or self._controller.light_due(self._optimizers.step)
        return losses if looked_at or not any(isinstance(loss, Tensor) for loss in losses) else []

    def _check_order(self, held: Held) -> None:
        parameters = held.live()
        ready = any(p is not None and p.grad is not None for p in parameters)
        state = self._protocol.state(held.index)
        if ready and state.zeroed_after_backward:
            gradients = [p.grad for p in parameters if p is not None and p.grad is not None]
            ready = gradients[0].device.type != "cpu" or any(bool(g.any()) for g in gradients)
        self._protocol.step(held.index, has_gradients=ready)

    @guarded
    def after_step(self, optimizer: Optimizer) -> None:
        """Finish a probe; decide whether the next step is one."""
        self._inside_step = self._inside_step % 100 - 1
        if self._inside_step > 0:
            return
        self._inside_step = 0
        started = time.perf_counter()
        held = self._optimizers.add(optimizer)
        witness = next((p for p in held.live() if p is not None and p.grad is not None), None)
        self._protocol.stepped(held.index, witness)
        self._controller.step_done()
        if self._deep.armed:
            self._finish_probe(held, started)
        else:
            self._controller.own_seconds += time.perf_counter() - started
        if self._max_steps is not None and self._optimizers.count() >= self._max_steps:
            self.close()
            return
        if self._examiner.wants_probe() or self._controller.deep_due(self._optimizers.coming_step()):
            self._begin_probe()

    def _finish_probe(self, held: Held, started: float) -> None:
        step = self._optimizers.step
        self._device = next((str(p.device.type) for p in held.live() if p is not None), "cpu")
        scale = self._scaling.scale() if self._scaling.on_host else 1.0
        self._examiner.connectivity(held, step, self._optimizers)
        self._deep.after_step(step, scale, held.index)
        self._leave_eager()
        hidden = self._deep.hooked * _HOOK_SECONDS
        self._controller.deep_done(self._deep_seconds + time.perf_counter() - started + hidden)
        self._deep_seconds = 0.0
        self._tell()

    # --- probes -----------------------------------------------------------------------------------------------------

    def _begin_probe(self) -> None:
        started = time.perf_counter()
        self._deep.arm()
        if self._compiled:
            torch.compiler.set_stance("force_eager")
        if self._lines_from_steps > 0 and not torch.is_anomaly_enabled():
            self._lines_from_steps -= 1
            self._anomaly = True
            # Only so that operations remember who called them; nothing is checked.
            torch.set_anomaly_enabled(True, False)
        self._deep_seconds += time.perf_counter() - started

    def _stop_tracing_lines(self) -> None:
        if self._anomaly:
            self._anomaly = False
            if torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled():
                torch.set_anomaly_enabled(False)

    def _leave_eager(self) -> None:
        self._stop_tracing_lines()
        if self._compiled:
            torch.compiler.set_stance("default")

    def _name_everything(self, *, force: bool = False) -> None:
        if self._named and not force:
            return
        self._registry.name_everything(list(self._optimizers.held_parameters()))
        for held in self._optimizers:
            self._optimizers.refresh(held)
        self._named = True

    def _flush_light(self) -> None:
        try:
            self._light.settle()
        except Exception as error:
            self.blow("last norms", error)

    def _note(self, kind: EventKind) -> None:
        place = calling_line()
        source = SourceLine(place[0], place[1]) if place else None
        self._store.note(kind, self._optimizers.coming_step() if self._inside_step == 0 else self._optimizers.step, source=source)

    def _tell(self) -> None:
        for callback in list(self._subscribers):
            try:
                callback(self)
            except Exception as error:
                self._subscribers.remove(callback)
                logger.debug("a subscriber failed", exc_info=error)

    def forget_in_child(self) -> None:
        """In a forked child: leave it alone."""
        if not self.off:
            self._remove()


def _in_child(reference: weakref.ref[Monitor]) -> Callable[[], None]:
    def forget() -> None:
        monitor = reference()
        if monitor is not None:
            try:
                monitor.forget_in_child()
            except Exception as error:
                logger.debug("in a forked child", exc_info=error)

    return forget
