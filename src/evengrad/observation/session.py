"""A watched session: hears of every event of a training loop, and looks closer on steps that the controller picks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evengrad.core.event import EventKind
from evengrad.core.info import SourceLine
from evengrad.observation.amp import Scaling
from evengrad.observation.controller import Controller
from evengrad.observation.deep import DeepProbe, SavedTensorHooks
from evengrad.observation.examine import Examiner
from evengrad.observation.fuse import dispatch_mode_active, guarded, say
from evengrad.observation.intercept import Interceptor
from evengrad.observation.light import LightPass
from evengrad.observation.losses import Losses
from evengrad.observation.optimizers import Held, Optimizers
from evengrad.observation.probe_mode import ProbeMode
from evengrad.observation.protocol import Protocol
from evengrad.observation.registry import Registry
from evengrad.observation.sources import calling_line
from evengrad.observation.store import Store
from evengrad.probes._base import StepView

logger = logging.getLogger(__name__)

_HOOK_SECONDS = 4e-6  # dispatch of one deep hook, which our own clock does not see
_MOST_REPEATED_PROBES = 4  # in place of probes of steps that a GradScaler skipped
_LATER_CLOSURE = 100  # added to the nesting depth once a closure's first evaluation has been looked at


class Session:
    """Handles the events of one run. Handlers are guarded: the first that raises switches the session off.

    While ``idle`` is True the interceptor itself counts ``ticks`` and keeps ``glances`` at the loss, and calls
    ``rested`` after ``resting`` steps: on steps of a fraction of a millisecond every further call would be felt.
    """

    def __init__(self, controller: Controller, max_steps: int | None) -> None:
        self.off = False
        self.idle = False
        self.resting = 0  # steps that the present rest lasts
        self.ticks = 0  # of them gone by
        self.glances: list[float] = []  # their losses
        self.failure: str | None = None
        self.store = Store()
        self.registry = Registry()
        self.optimizers = Optimizers(self.registry)
        self.controller = controller
        self.scaling = Scaling(self.store)
        self.hooks = SavedTensorHooks()
        self.deep = DeepProbe(self.registry, self.store, self.hooks, self.blow)
        self.light = LightPass(self.store)
        self.examiner = Examiner(self.store, self.registry, self.deep)
        self.interceptor = Interceptor(self)
        self.news: list[Callable[[], None]] = []
        self.device = "cpu"
        self._max_steps = max_steps
        self._protocol = Protocol(self._note)
        self._named = False
        self._mode = ProbeMode()
        self._losses = Losses(self.store, self.scaling)
        self._closures = False  # whether a step has ever evaluated the loss itself
        self._skips = 0  # steps that a GradScaler skipped
        self._depth = 0  # of optimizer steps inside one another
        self._deep_seconds = 0.0

    @property
    def followed_steps(self) -> int:
        """Optimizer steps during which the order of the loop was followed."""
        return self._protocol.steps

    def blow(self, where: str, error: Exception) -> None:
        """Switch off after a fault of ours, say so once, and let the run go on."""
        if self.off:
            return
        self.failure = f"{where}: {type(error).__name__}: {error}"
        logger.debug("switched off in %s", where, exc_info=error)
        try:
            self.remove()
            details = {"where": where, "error": repr(error)[:200]}
            self.store.note(EventKind.SELF_DISABLED, self.optimizers.step, details=details)
        except Exception as second:
            logger.debug("while switching off", exc_info=second)
        message = " ".join(str(error).split())[:120]
        say(f"switched itself off in {where} ({type(error).__name__}: {message}); your run goes on unwatched")

    def remove(self) -> None:
        """Take every hook off; hear of nothing any more."""
        if self.idle:
            self._settle_rest()
        self.off, self.idle = True, False
        self.interceptor.remove()
        self.deep.disarm()
        self._mode.leave()

    @guarded
    def module_made(self, module: nn.Module) -> None:
        """Note a module and the line that made it."""
        self.registry.add(module, calling_line(skip_constructor_of=module))

    @guarded
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Note an optimizer and the line that made it."""
        self.optimizers.add(optimizer, calling_line(skip_constructor_of=optimizer))
        self._named = False
        if len(list(self.optimizers)) == 2:
            self._mode.lines_wanted = max(self._mode.lines_wanted, 1)

    @guarded
    def compiling(self, *, exact: bool) -> None:
        """Take care that no hook of ours is traced."""
        if not exact:
            self._mode.leave()
            self._mode.exact = False
            self.deep.calls.disarm()
        if not self._mode.compiled:
            self._mode.compiled = True
            self._note(EventKind.COMPILED)
            self.interceptor.survive_compilation()
            if self.deep.armed:
                self._mode.force_eager()

    @guarded
    def saved_tensor_hooks(self, *, entering: bool) -> None:
        """Remember where saved tensors must not be unpacked."""
        if self.deep.armed:
            self.hooks.enter() if entering else self.hooks.leave()

    @guarded
    def wake(self) -> None:
        """Attend to the step that is going on after all: the loss that was glanced at is not an ordinary number."""
        self.idle = False
        self._settle_rest()

    @guarded
    def before_backward(self, roots: Sequence[Tensor], *, accumulating: bool = True) -> None:
        """Note the loss; on a probe step read the graph and hook it."""
        started = time.perf_counter()
        if torch._C._current_graph_task_id() != -1 or torch._C._functorch.peek_interpreter_stack() is not None:
            return
        if dispatch_mode_active():
            self._losses.forget()
            return
        scaled = self._note_loss(roots)
        known = [held.index for held in self.optimizers]
        self._protocol.backward(known, scaled=scaled, accumulating=accumulating)
        if self.deep.armed:
            self._name_everything()
            self.deep.before_backward(roots)
            self._deep_seconds += time.perf_counter() - started
        else:
            self.controller.spend(time.perf_counter() - started)

    def _note_loss(self, roots: Sequence[Tensor]) -> bool:
        """Keep the loss; examine it when it is not finite. Returns whether it was scaled."""
        scaled, finite = self._losses.note(roots)
        self.deep.loss_is_finite = finite
        if not finite:
            self._name_everything()
            if self.examiner.loss(roots, self.optimizers.coming_step(), self.optimizers):
                self._tell()
        return scaled

    @guarded
    def after_backward(self) -> None:
        """On a probe step, bring the measurement together."""
        if self.deep.armed and torch._C._current_graph_task_id() == -1:
            started = time.perf_counter()
            self._mode.stop_tracing_lines()
            with torch.no_grad():
                self.deep.after_backward(self._scale())
            self._deep_seconds += time.perf_counter() - started

    def _scale(self) -> float:
        return self.scaling.scale() if self.scaling.on_host or self.deep.armed else 1.0

    @guarded
    def clipped(self, parameters: object, max_norm: object, total: object, *, by_value: bool) -> None:
        """Note a call of a clipping function."""
        self._protocol.clip()
        if by_value and (self.deep.armed or self.controller.light_due(self.optimizers.coming_step())):
            self.light.before_value_clip(parameters)
        if by_value or not isinstance(total, Tensor) or not isinstance(max_norm, (int, float)):
            return
        self.light.clipped(parameters, float(max_norm), total.detach())

    @guarded
    def zeroed(self, owner: object) -> None:
        """Note a ``zero_grad``."""
        if isinstance(owner, Optimizer):
            self._protocol.zero_grad(self.optimizers.add(owner).index)
        else:
            self._protocol.zero_grad(None)

    @guarded
    def scaled(self, scaler: object, outputs: object, result: object) -> None:
        """Note a scaled loss."""
        if outputs is not result:
            self.scaling.scaled(scaler, outputs, result)

    @guarded
    def unscaled(self, optimizer: Optimizer) -> None:
        """Note unscaled gradients."""
        self._protocol.unscale()

    @guarded
    def before_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Note that a GradScaler decides about a step."""
        self.scaling.begin_step()

    @guarded
    def after_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """Note what it decided; a step that it skipped is a step of the loop all the same."""
        if self.scaling.skipped:
            self._skip(optimizer)
        self.scaling.end_step(self.optimizers.step)
        self._protocol.unscale()

    def _skip(self, optimizer: Optimizer) -> None:
        """Count a step that the scaler skipped; what was measured of it is scaled beyond use and forgotten."""
        held = self.optimizers.add(optimizer)
        if self.optimizers.is_stale(held):
            self._name_everything(force=True)
        step = self.optimizers.begin_step(held)
        self._losses.record(step, wait=self.deep.armed)
        self._check_order(held)
        self._protocol.stepped(held.index, None)
        self.light.pass_by()
        probing = self.deep.armed
        self._cancel_probe()
        self.controller.step_done(step, deep=probing)
        self._skips += 1
        if probing and self._skips <= _MOST_REPEATED_PROBES:
            self.begin_probe()

    @guarded
    def before_step(self, optimizer: Optimizer, *, by_closure: bool) -> None:
        """Look at the gradients, if this step is to be looked at."""
        self._depth += 1
        if self._depth == 1:
            self.scaling.stepped()
            self._closures = self._closures or by_closure
            if not by_closure:
                self._look(optimizer)

    @guarded
    def gradients_ready(self, optimizer: Optimizer) -> None:
        """Look at the gradients that a closure has made; at its first evaluation only."""
        if self._depth == 1:
            self._depth += _LATER_CLOSURE
            self._look(optimizer)

    def _look(self, optimizer: Optimizer) -> None:
        started = time.perf_counter()
        held = self.optimizers.add(optimizer)
        if self.optimizers.is_stale(held):
            self._name_everything(force=True)
        step = self.optimizers.begin_step(held)
        self._losses.record(step, wait=self.deep.armed or self.controller.light_due(step))
        self._check_order(held)
        lighted = time.perf_counter()
        self.controller.spend(lighted - started)
        if dispatch_mode_active():
            self._cancel_probe()
            return
        light = self.deep.armed or self.controller.light_due(step)
        if light:
            scale = self.scaling.still_in(optimizer)
            bad = self.light.take(step, held, scale)
            if bad:
                self.examiner.gradients(bad, step, held)
                self._tell()
            if self.deep.armed:
                groups = {n: optimizer.param_groups[g] for n, g in zip(held.names, held.groups, strict=True)}
                self.deep.before_step(StepView(optimizer, held.by_name(), groups, scale))
                self._deep_seconds += time.perf_counter() - lighted
            else:
                self.controller.light_done(step, time.perf_counter() - lighted)
        else:
            self.light.pass_by()

    def _cancel_probe(self) -> None:
        """Give up the probe of a step that the user's own instruments look at."""
        self.light.pass_by()
        if self.deep.armed:
            self.deep.disarm()
            self._mode.leave()

    def _check_order(self, held: Held) -> None:
        state = self._protocol.state(held.index)
        gradients = (p.grad for p in held.live() if p is not None)
        first = next((gradient for gradient in gradients if gradient is not None), None)
        ready = first is not None
        if first is not None and state.zeroed_after_backward and first.device.type == "cpu":
            ready = bool(first.any()) or any(bool(gradient.any()) for gradient in gradients if gradient is not None)
        self._protocol.step(held.index, has_gradients=ready)

    @guarded
    def after_step(self, optimizer: Optimizer) -> None:
        """Finish a probe; decide how closely to look at the next step."""
        self._depth = self._depth % _LATER_CLOSURE - 1
        if self._depth > 0:
            return
        self._depth = 0
        self._losses.forget()  # later evaluations of a closure are not the next step's
        step = self.optimizers.step
        started = time.perf_counter()
        held = self.optimizers.add(optimizer)
        witness = next((p for p in held.live() if p is not None and p.grad is not None), None)
        self._protocol.stepped(held.index, witness)
        if self._losses.jumped:
            self.examiner.alarm()
        deep = self.deep.armed
        if deep:
            self._finish_probe(held, started)
        self.controller.spend(0.0 if deep else time.perf_counter() - started)
        self.controller.step_done(step, deep=deep)
        self._plan(step)

    def _plan(self, step: int) -> None:
        """Choose between ending, a deep probe, attention and rest for the step to come."""
        if self._max_steps is not None and self.optimizers.count() >= self._max_steps:
            self.light.settle()
            self.remove()
        elif self.examiner.wants_probe() or self.controller.deep_due(self.optimizers.coming_step()):
            self.begin_probe()
        elif self._can_rest and (rest := self.controller.rest(step)):
            if self._max_steps is not None:
                rest = min(rest, max(self._max_steps - step - 2, 0))
            # The order of the loop has been the same for long enough: follow it no longer.
            self._protocol.following = False
            self.interceptor.release_zero_grad()
            self.resting, self.ticks, self.idle = rest, 0, rest > 0

    @property
    def _can_rest(self) -> bool:
        """Whether the loop is simple enough to be counted only: one optimizer, one plain loss on the host."""
        plain = self._losses.plain == 1 and len(self.optimizers.stepped) == 1
        return plain and not (self._mode.compiled or self.scaling.in_use or self._closures)

    @guarded
    def rested(self) -> None:
        """End a rest: book the steps and losses that passed."""
        self.idle = False
        self._settle_rest()
        if self.examiner.wants_probe() or self.controller.deep_due(self.optimizers.coming_step()):
            self.begin_probe()

    def _settle_rest(self) -> None:
        first, jumped = self.optimizers.step + 1, False
        self.optimizers.skip(self.ticks)
        for offset, loss in enumerate(self.glances[: self.ticks]):
            self._losses.add(first + offset, loss)
            jumped = jumped or self._losses.jumped
        self._losses.take(self.glances[self.ticks :])
        self.ticks, self.resting = 0, 0
        self.glances.clear()
        if jumped:
            self.examiner.alarm()

    def _finish_probe(self, held: Held, started: float) -> None:
        self.device = next((str(p.device.type) for p in held.live() if p is not None), "cpu")
        self.examiner.connectivity(held, self.optimizers.step, self.optimizers)
        self.deep.after_step(self.optimizers.step, self._scale(), held.index)
        self._mode.leave()
        hidden = self.deep.hooked * _HOOK_SECONDS
        self.controller.deep_done(self._deep_seconds + time.perf_counter() - started + hidden)
        self._deep_seconds = 0.0
        self._tell()

    def begin_probe(self) -> None:
        """Prepare to probe the step to come, from its forward pass on."""
        started = time.perf_counter()
        self.deep.arm(with_calls=self._mode.exact)
        self._mode.enter()
        self._deep_seconds += time.perf_counter() - started

    def _name_everything(self, *, force: bool = False) -> None:
        if self._named and not force:
            return
        self.optimizers.name_everything()
        self._named = True

    def _note(self, kind: EventKind) -> None:
        place = calling_line()
        source = SourceLine(place[0], place[1]) if place else None
        over = self._depth > 0 or kind is EventKind.CLIP_AFTER_STEP
        self.store.note(kind, self.optimizers.step if over else self.optimizers.coming_step(), source=source)

    def _tell(self) -> None:
        for callback in self.news:
            callback()
