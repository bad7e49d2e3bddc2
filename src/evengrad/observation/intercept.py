"""The only file that patches torch. Everything it changes, ``remove`` puts back."""

from __future__ import annotations

import functools
import math
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from evengrad.observation.sources import is_user_file

Function = Callable[..., Any]


class Handler(Protocol):
    """Who is told. No method may raise: each is guarded by its implementer.

    While ``idle`` is True only ``wake`` and ``rested`` are called: the interceptor counts ``ticks`` up to ``resting``
    and keeps ``glances`` at the loss.
    """

    idle: bool
    resting: int
    ticks: int
    glances: list[float]

    def wake(self) -> None:
        """The step that is going on needs attention after all."""

    def rested(self) -> None:
        """The rest is over: the next step is to be attended to."""

    def module_made(self, module: nn.Module) -> None:
        """A module was constructed."""

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was constructed."""

    def before_backward(self, roots: Sequence[Tensor], *, accumulating: bool = True) -> None:
        """A backward pass is about to begin; ``autograd.grad`` does not accumulate into ``.grad``."""

    def after_backward(self) -> None:
        """The backward pass has ended, or failed."""

    def clipped(self, parameters: object, max_norm: object, total: object, *, by_value: bool) -> None:
        """A clipping function of torch returned."""

    def zeroed(self, owner: object) -> None:
        """An optimizer's or a module's ``zero_grad`` was called."""

    def scaled(self, scaler: object, outputs: object, result: object) -> None:
        """A GradScaler scaled a loss."""

    def unscaled(self, optimizer: Optimizer) -> None:
        """A GradScaler unscaled an optimizer's gradients."""

    def before_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """A GradScaler is about to step an optimizer, or to skip it."""

    def after_scaler_step(self, scaler: object, optimizer: Optimizer) -> None:
        """A GradScaler has stepped an optimizer, or skipped it."""

    def before_step(self, optimizer: Optimizer, *, by_closure: bool) -> None:
        """An optimizer is about to step; with a closure, gradients are not there yet."""

    def gradients_ready(self, optimizer: Optimizer) -> None:
        """The closure of an optimizer has returned."""

    def after_step(self, optimizer: Optimizer) -> None:
        """An optimizer has stepped."""

    def compiling(self, *, exact: bool) -> None:
        """``torch.compile`` was called; ``exact``: with a backend that rounds as eager code does."""

    def saved_tensor_hooks(self, *, entering: bool) -> None:
        """Saved-tensor hooks come into force, or end."""


class Interceptor:
    """Patches torch so that a handler hears of every event of a training loop."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._patched: list[tuple[object, str, object]] = []
        self._handles: list[RemovableHandle] = []
        self.fullgraph = False
        self._follows_order = True

    def install(self) -> None:
        """Put every patch in place."""
        handler = self._handler
        self._patch_backward(handler)
        self._patch_clipping(handler)
        self._patch_scaler(handler)
        self._patch_construction(handler)
        for owner in (Optimizer, nn.Module) if self._follows_order else ():
            self._replace(owner, "zero_grad", _before(owner.zero_grad, handler, handler.zeroed))
        hooks = torch.autograd.graph.saved_tensors_hooks
        self._replace(
            hooks, "__enter__", _before(hooks.__enter__, handler, lambda _: handler.saved_tensor_hooks(entering=True))
        )
        self._replace(
            hooks, "__exit__", _before(hooks.__exit__, handler, lambda _: handler.saved_tensor_hooks(entering=False))
        )
        self._patch_compile(handler)
        self.hook_steps(_step_hooks(handler))

    def remove(self) -> None:
        """Put everything back as it was, unless somebody else has patched over it since."""
        for owner, name, original in reversed(self._patched):
            if isinstance(owner, dict):
                owner[name] = original
            else:
                setattr(owner, name, original)
        self._patched = []
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def release_zero_grad(self) -> None:
        """Put ``zero_grad`` back as it was."""
        self._follows_order = False
        for patch in [entry for entry in self._patched if entry[1] == "zero_grad"]:
            setattr(patch[0], patch[1], patch[2])
            self._patched.remove(patch)

    def hook_steps(self, hooks: tuple[Function, Function]) -> None:
        """Register the optimizer step hooks, in place of earlier ones."""
        for handle in self._handles:
            handle.remove()
        self._handles = [register_optimizer_step_pre_hook(hooks[0]), register_optimizer_step_post_hook(hooks[1])]

    def _replace(self, owner: Any, name: str, wrapper: Function) -> None:
        # From the class's own dictionary: getattr would bind or inherit.
        self._patched.append((owner, name, vars(owner)[name]))
        setattr(owner, name, wrapper)

    def _patch_backward(self, handler: Handler) -> None:
        backward, grad = torch.autograd.backward, torch.autograd.grad
        glances, modes = handler.glances, torch._C._len_torch_dispatch_stack

        @functools.wraps(backward)
        def watched_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if handler.idle:
                # Written out: on steps this short a further call would be felt.
                try:
                    value = math.nan if modes() else tensors.item()
                except (AttributeError, RuntimeError):  # not one number: attend to it
                    value = math.nan
                if value - value == 0.0:
                    glances.append(value)
                    return backward(tensors, *args, **kwargs)
                handler.wake()
            if torch.compiler.is_compiling():
                return backward(tensors, *args, **kwargs)
            handler.before_backward((tensors,) if isinstance(tensors, Tensor) else _tensors(tensors))
            try:
                return backward(tensors, *args, **kwargs)
            finally:
                handler.after_backward()

        @functools.wraps(grad)
        def watched_grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or not _is_loss_gradient(outputs, inputs):
                return grad(outputs, inputs, *args, **kwargs)
            roots = (outputs,) if isinstance(outputs, Tensor) else _tensors(outputs)
            handler.before_backward(roots, accumulating=False)
            try:
                return grad(outputs, inputs, *args, **kwargs)
            finally:
                handler.after_backward()

        self._replace(torch.autograd, "backward", watched_backward)
        self._replace(torch.autograd, "grad", watched_grad)

    def _patch_clipping(self, handler: Handler) -> None:
        by_norm, by_value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_

        @functools.wraps(by_norm)
        def watched_norm(parameters: Any, max_norm: Any, norm_type: Any = 2.0, *args: Any, **kwargs: Any) -> Any:
            if handler.idle or torch.compiler.is_compiling():
                return by_norm(parameters, max_norm, norm_type, *args, **kwargs)
            if isinstance(parameters, types.GeneratorType):
                kept = list(parameters)
                if not kept:
                    return _as_from_the_caller(lambda: by_norm((p for p in kept), max_norm, norm_type, *args, **kwargs))
                total = by_norm(kept, max_norm, norm_type, *args, **kwargs)
            else:
                kept = parameters
                total = by_norm(parameters, max_norm, norm_type, *args, **kwargs)
            handler.clipped(kept, max_norm if norm_type == 2 else None, total, by_value=False)
            return total

        @functools.wraps(by_value)
        def watched_value(parameters: Any, clip_value: Any, *args: Any, **kwargs: Any) -> Any:
            if handler.idle or torch.compiler.is_compiling():
                return by_value(parameters, clip_value, *args, **kwargs)
            kept = list(parameters) if isinstance(parameters, types.GeneratorType) else parameters
            handler.clipped(kept, clip_value, None, by_value=True)
            return by_value(kept, clip_value, *args, **kwargs)

        for name, original, wrapper in (
            ("clip_grad_norm_", by_norm, watched_norm),
            ("clip_grad_value_", by_value, watched_value),
        ):
            for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
                self._replace(owner, name, wrapper)
            self._rebind(original, wrapper)

    def _rebind(self, original: object, wrapper: Function) -> None:
        """Replace names that user modules have imported before we came."""
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            file = names.get("__file__") if isinstance(names, dict) else None
            if not isinstance(names, dict) or not isinstance(file, str) or not is_user_file(file):
                continue
            for name, value in list(names.items()):
                if value is original:
                    self._patched.append((names, name, original))
                    names[name] = wrapper

    def _patch_scaler(self, handler: Handler) -> None:
        scaler = torch.amp.grad_scaler.GradScaler
        scale, unscale, step = scaler.scale, scaler.unscale_, scaler.step

        @functools.wraps(scale)
        def watched_scale(self: Any, outputs: Any) -> Any:
            result = scale(self, outputs)
            if self.is_enabled():
                handler.scaled(self, outputs, result)
            return result

        @functools.wraps(unscale)
        def watched_unscale(self: Any, optimizer: Optimizer) -> Any:
            result = unscale(self, optimizer)
            if not handler.idle:
                handler.unscaled(optimizer)
            return result

        @functools.wraps(step)
        def watched_step(self: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if handler.idle or not self.is_enabled():  # a disabled scaler only passes the step on
                return step(self, optimizer, *args, **kwargs)
            handler.before_scaler_step(self, optimizer)
            result = step(self, optimizer, *args, **kwargs)
            handler.after_scaler_step(self, optimizer)
            return result

        for name, wrapper in (("scale", watched_scale), ("unscale_", watched_unscale), ("step", watched_step)):
            self._replace(scaler, name, wrapper)

    def _patch_construction(self, handler: Handler) -> None:
        module_init, optimizer_init = nn.Module.__init__, Optimizer.__init__

        @functools.wraps(module_init)
        def watched_module(self: nn.Module, *args: Any, **kwargs: Any) -> None:
            module_init(self, *args, **kwargs)
            if not torch.compiler.is_compiling():
                handler.module_made(self)

        @functools.wraps(optimizer_init)
        def watched_optimizer(self: Optimizer, *args: Any, **kwargs: Any) -> None:
            optimizer_init(self, *args, **kwargs)
            handler.optimizer_made(self)

        self._replace(nn.Module, "__init__", watched_module)
        self._replace(Optimizer, "__init__", watched_optimizer)

    def _patch_compile(self, handler: Handler) -> None:
        compile_function, compile_module = torch.compile, nn.Module.compile

        @functools.wraps(compile_function)
        def watched_compile(*args: Any, **kwargs: Any) -> Any:
            self.fullgraph = self.fullgraph or bool(kwargs.get("fullgraph"))
            handler.compiling(exact=_rounds_as_eager(kwargs))
            return compile_function(*args, **kwargs)

        @functools.wraps(compile_module)
        def watched_method(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            self.fullgraph = self.fullgraph or bool(kwargs.get("fullgraph"))
            handler.compiling(exact=_rounds_as_eager(kwargs))
            return compile_module(module, *args, **kwargs)

        self._replace(torch, "compile", watched_compile)
        self._replace(nn.Module, "compile", watched_method)

    def survive_compilation(self) -> None:
        """Keep the step hooks firing when ``optimizer.step`` itself is compiled, where that may break the graph."""
        if not self.fullgraph:
            before, after = _step_hooks(self._handler)
            disable: Function = torch.compiler.disable
            self.hook_steps((disable(before), disable(after)))


def _as_from_the_caller(call: Callable[[], Any]) -> Any:
    """Call, and let its warnings point where they would without our frame: at the caller of our wrapper."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    for warning in caught:
        warnings.warn(warning.message, warning.category, stacklevel=3)
    return result


def _before(original: Function, handler: Handler, tell: Callable[[Any], None]) -> Function:
    """Return a method that tells of its owner before it does what it did, on attended steps."""

    @functools.wraps(original)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not handler.idle and not torch.compiler.is_compiling():
            tell(self)
        return original(self, *args, **kwargs)

    return watched


def _step_hooks(handler: Handler) -> tuple[Function, Function]:
    """Return the pre- and the post-hook of every optimizer's step."""

    def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if handler.idle:
            handler.ticks += 1
            return None
        if torch.compiler.is_compiling():
            return None
        closure = kwargs.get("closure") or next((a for a in args[1:2] if callable(a)), None)
        handler.before_step(optimizer, by_closure=closure is not None)
        if closure is None:
            return None

        @functools.wraps(closure)
        def watched(*closure_args: Any, **closure_kwargs: Any) -> Any:
            result = closure(*closure_args, **closure_kwargs)
            handler.gradients_ready(optimizer)
            return result

        if "closure" in kwargs:
            return args, {**kwargs, "closure": watched}
        return (args[0], watched, *args[2:]), kwargs

    def after(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if handler.idle:
            if handler.ticks >= handler.resting:
                handler.rested()
        elif not torch.compiler.is_compiling():
            handler.after_step(optimizer)

    return before, after


def _rounds_as_eager(options: dict[str, Any]) -> bool:
    """Return whether compiled code gives the same bits as eager code."""
    return options.get("backend", "inductor") in ("eager", "aot_eager") or bool(options.get("disable"))


def _tensors(items: object) -> tuple[Tensor, ...]:
    """Return the tensors among some items; none when they are not a plain sequence."""
    return tuple(item for item in items if isinstance(item, Tensor)) if isinstance(items, (tuple, list)) else ()


def _is_loss_gradient(outputs: object, inputs: object) -> bool:
    """Return whether a call of ``autograd.grad`` differentiates one number with respect to parameters."""
    roots = (outputs,) if isinstance(outputs, Tensor) else _tensors(outputs)
    wanted: Iterable[Tensor] = (inputs,) if isinstance(inputs, Tensor) else _tensors(inputs)
    return len(roots) == 1 and roots[0].numel() == 1 and any(isinstance(item, nn.Parameter) for item in wanted)
