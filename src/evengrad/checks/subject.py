"""What is checked: how to get a model, a batch and a loss from whatever the user gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer

from evengrad.errors import UsageError
from evengrad.observation.registry import unwrapped

_WORDS = ("model", "batch", "loss_fn", "optimizer")


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with what it is to be fed, as far as the user has said; None: to be made up."""

    model: nn.Module
    batch: object = None
    loss_fn: Callable[..., object] | None = None
    optimizer: Optimizer | None = None


def build(given: object) -> Subject:
    """Call a build function (or class) and understand what it returns.

    Returns:
        The model, and what came with it.

    Raises:
        UsageError: It needs arguments, fails, or returns no model.
    """
    if not callable(given):
        raise UsageError(f"expected a torch.nn.Module or a function that builds one, got {type(given).__name__}")
    missing = required(given)
    if missing:
        names = ", ".join(missing)
        raise UsageError(
            f"'{_name(given)}' needs arguments ({names}): expected a function without, such as "
            "def build(): return MyNet(...)"
        )
    try:
        made = given()
    except Exception as error:
        raise UsageError(f"'{_name(given)}' failed: {type(error).__name__}: {_short(error)}") from error
    return understand(made, _name(given))


def understand(made: object, name: str) -> Subject:
    """Return the subject that a build function's result stands for.

    Raises:
        UsageError: There is no model in it.
    """
    if isinstance(made, Mapping):
        unknown = [key for key in made if key not in (*_WORDS, "loss")]
        if unknown or "model" not in made:
            raise UsageError(f"'{name}' returned a dict with {list(made)}: expected the keys {', '.join(_WORDS)}")
        parts = [made.get("model"), made.get("batch"), made.get("loss_fn", made.get("loss")), made.get("optimizer")]
    else:
        parts = list(made) if isinstance(made, (tuple, list)) else [made]
    model = parts[0] if parts else None
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"'{name}' returned {_described(made)}: expected a torch.nn.Module, or (model, batch), or (model, batch, "
            "loss_fn)"
        )
    subject = Subject(unwrapped(model))
    for part in parts[1:]:
        subject = _with(subject, part, name)
    return subject


def _with(subject: Subject, part: object, name: str) -> Subject:
    """Return a subject with one more part, told by what it is."""
    if part is None:
        return subject
    if isinstance(part, Optimizer):
        return replace(subject, optimizer=part)
    if subject.batch is None and is_batch(part):
        return replace(subject, batch=part)
    if callable(part) and subject.loss_fn is None:
        return replace(subject, loss_fn=part)
    if subject.batch is None and isinstance(part, Iterable):
        return replace(subject, batch=first_of(part, name))
    raise UsageError(f"'{name}' returned a {type(part).__name__} beside the model: expected batch, loss_fn, optimizer")


def is_batch(value: object) -> bool:
    """Return whether a value is a batch: a tensor, or tensors in a tuple, list or dict."""
    if isinstance(value, Tensor):
        return True
    if isinstance(value, Mapping):
        return any(is_batch(part) for part in value.values())
    return isinstance(value, (tuple, list)) and any(is_batch(part) for part in value)


def first_of(source: object, name: str) -> object:
    """Return the first batch of a batch, a loader, an iterator, or a function that returns one of these.

    Raises:
        UsageError: There is none.
    """
    if is_batch(source):
        return source
    if callable(source) and not required(source):
        return first_of(source(), name)
    if isinstance(source, Iterable):
        found = next(iter(source), None)
        if found is not None and is_batch(found):
            return found
    raise UsageError(
        f"'{name}' is {_described(source)}: expected a batch (tensors), a loader, or a function returning one"
    )


def required(function: Callable[..., object]) -> list[str]:
    """Return the names of the positional arguments that a call cannot do without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind in kinds]


def parameters_of(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters by name.

    Raises:
        UsageError: One has no shape yet.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise UsageError(
                f"'{name}' is lazy and has no shape yet: run one batch through the model first, or give a function "
                "that builds it and does so"
            )
    yield from model.named_parameters()


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first tensor."""
    return next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def moved(batch: Any, device: torch.device) -> Any:
    """Return a batch on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        parts = [moved(part, device) for part in batch]
        return tuple(parts) if type(batch) is not list else parts
    return batch


def described(batch: object) -> str:
    """Return the shapes of a batch in words: ``float32 [32, 784]``."""
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {list(batch.shape)}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{key}: {described(value)}" for key, value in batch.items() if is_batch(value))
    if isinstance(batch, (tuple, list)):
        return ", ".join(described(part) for part in batch if is_batch(part))
    return type(batch).__name__


def _described(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(type(part).__name__ for part in value)})"
    return "nothing" if value is None else f"a {type(value).__name__}"


def _name(given: object) -> str:
    return str(getattr(given, "__qualname__", type(given).__name__))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
