"""What a watched block may not leave behind: patches, hooks, handlers, threads."""

from __future__ import annotations

import builtins
import gc
import importlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_HOOK_TABLES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _owners() -> Iterator[tuple[str, Any]]:
    """Yield everything of torch and Python that somebody might patch."""
    modules = ("torch", "torch.nn.functional", "torch.autograd", "torch.nn.utils", "torch.nn.utils.clip_grad")
    modules += ("torch.autograd.graph", "torch.utils.checkpoint", "torch.optim.optimizer", "torch.nn.modules.module")
    modules += ("torch.amp.grad_scaler", "torch.serialization", "torch.nn.init", "torch.distributed", "torch.func")
    for name in modules:
        if name in sys.modules:
            yield name, sys.modules[name]
    yield "Tensor", torch.Tensor
    yield "Module", nn.Module
    yield "GradScaler", torch.amp.GradScaler
    for kind in [torch.optim.Optimizer, *torch.optim.Optimizer.__subclasses__()]:
        yield kind.__qualname__, kind
    for kind in nn.Module.__subclasses__():
        if kind.__module__.startswith("torch.nn.modules"):
            yield kind.__qualname__, kind
    yield "Function", torch.autograd.Function
    yield "builtins", builtins


class Snapshot:
    """The state of a process at one moment; `differences` says what has changed since."""

    def __init__(self) -> None:
        importlib.import_module("torch._dynamo")  # the first optimizer would import it, and it replaces names of torch
        self._attributes = [(name, owner, dict(vars(owner))) for name, owner in _owners()]
        self._process = _process_state()
        self._hooks = set(_hooks_of_ours())

    def differences(self) -> list[str]:
        """Return what is not as it was, in words; what has merely been added by a lazy import does not count."""
        found = []
        for name, owner, before in self._attributes:
            now = vars(owner)
            found += [f"{name}.{key}" for key, value in before.items() if now.get(key) is not value and _ours(now, key)]
        state = _process_state()
        found += [
            f"{key}: {before!r} -> {state[key]!r}" for key, before in self._process.items() if state[key] != before
        ]
        return found + [hook for hook in _hooks_of_ours() if hook not in self._hooks]


def _ours(now: dict[str, Any], key: str) -> bool:
    """Leave out what torch itself changes while it works (caches, counters, lazily bound names)."""
    value = now.get(key)
    return callable(value) or isinstance(value, (staticmethod, classmethod, property))


def _process_state() -> dict[str, Any]:
    """Return what a run could see of its process."""
    hooks = sys.modules["torch.nn.modules.module"]
    return {
        "global module hooks": {
            k: len(v) for k, v in vars(hooks).items() if k.startswith("_global_") and isinstance(v, dict)
        },
        "global optimizer hooks": [
            len(v) for k, v in sorted(vars(sys.modules["torch.optim.optimizer"]).items()) if k.startswith("_global_")
        ],
        "excepthook": sys.excepthook,
        "thread excepthook": threading.excepthook,
        "displayhook": sys.displayhook,
        "trace": sys.gettrace(),
        "profile": sys.getprofile(),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "threads": sorted(t.name for t in threading.enumerate() if t.is_alive()),
        "grad mode": (torch.is_grad_enabled(), torch.is_anomaly_enabled(), torch.is_inference_mode_enabled()),
        "function modes": torch._C._len_torch_function_stack(),
        "gc callbacks": list(gc.callbacks),
        "warning filters": list(warnings.filters),
    }


def _hooks_of_ours() -> list[str]:
    """Return the hooks of ours on any module, optimizer or leaf tensor that is alive."""
    found = []
    gc.collect()
    for thing in gc.get_objects():
        kind = type(thing)
        if not issubclass(kind, (nn.Module, torch.optim.Optimizer, torch.Tensor)):
            continue
        tables = (
            _HOOK_TABLES if issubclass(kind, nn.Module) else ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
        )
        tables = ("_backward_hooks", "_post_accumulate_grad_hooks") if issubclass(kind, torch.Tensor) else tables
        for table in tables:
            hooks = getattr(thing, table, None) or {}
            found += [f"{kind.__name__}.{table}: {hook!r}" for hook in hooks.values() if _is_ours(hook)]
        if issubclass(kind, nn.Module):
            found += [f"{kind.__name__}.{key}" for key, value in vars(thing).items() if _is_ours(value)]
    return found


def _is_ours(thing: Any) -> bool:
    """Return whether an object was defined by evengrad, looking through partials and bound methods."""
    for candidate in (thing, getattr(thing, "func", None), getattr(thing, "__self__", None), type(thing)):
        if str(getattr(candidate, "__module__", "") or "").startswith("evengrad"):
            return True
    return False
