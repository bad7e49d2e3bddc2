"""One forward pass from batch to loss, whatever shape the user's batch, model and loss function have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from evengrad.checks.losses import Aim, aim, named, output_of, own_loss, own_loss_among
from evengrad.checks.subject import described, device_of, moved, required
from evengrad.checks.synthetic import Plan, dtype_of
from evengrad.errors import UsageError

_TARGETS = ("labels", "label", "target", "targets", "y")


@dataclass(frozen=True, eq=False)
class Feed:
    """What a model is fed with: a plan for made-up input or a batch; a target; a loss. None: to be made up."""

    plan: Plan | None = None
    batch: object = None
    target: object = None
    loss: Callable[..., object] | str | None = None


@dataclass(frozen=True, eq=False)
class Passed:
    """A forward pass: the loss, what entered it, and what each thing is called."""

    loss: Tensor
    output: Tensor | None
    input_words: str
    target_words: str
    loss_words: str
    target_made: bool
    loss_made: bool
    input_made: bool = False


def pass_forward(model: nn.Module, feed: Feed) -> Passed:
    """Run a model on a batch and hold the result against the target.

    Returns:
        The loss, and what it was made of.

    Raises:
        UsageError: The model does not take the input, or no loss can be made of the output.
    """
    return replace(_pass_forward(model, feed), input_made=feed.plan is not None)


def _pass_forward(model: nn.Module, feed: Feed) -> Passed:
    device = device_of(model)
    batch = moved(feed.batch, device) if feed.plan is None else feed.plan.draw(device, dtype_of(model))
    if callable(feed.loss) and required(feed.loss)[:1] == ["model"]:
        loss = _called(feed.loss, (model, batch), "loss_fn(model, batch)")
        return Passed(_scalar(loss), None, described(batch), "", _name(feed.loss), False, False)
    inputs, keywords, target = split(model, batch, feed)
    words = feed.plan.words if feed.plan is not None else described((*inputs, keywords) if keywords else inputs)
    result = _run(model, inputs, keywords, words)
    if target is None and feed.target is not None:
        target = moved(feed.target, device)
    told = any(name in _TARGETS for name in keywords)
    return _aimed(result, inputs, target, feed, words, told=told)


def split(model: nn.Module, batch: Any, feed: Feed) -> tuple[tuple[Any, ...], dict[str, Any], object]:
    """Return a batch as positional inputs, named inputs and target."""
    if isinstance(batch, Mapping):
        return _split_named(model, dict(batch), feed)
    own = _own_target(model) if feed.loss is None and feed.target is None else ""
    if not isinstance(batch, (tuple, list)):
        tokens = own and feed.plan is not None and isinstance(batch, Tensor) and not batch.is_floating_point()
        return (batch,), {own: batch} if tokens else {}, None  # made-up tokens predict themselves as well as any
    parts = tuple(batch)
    if own and len(parts) == 2:
        return parts[:1], {own: parts[1]}, None
    wanted = len(required(model.forward))
    if wanted > 1 and isinstance(parts[0], (tuple, list)):
        return tuple(parts[0]), {}, parts[1] if len(parts) > 1 else None
    if len(parts) == 1 or (len(parts) == wanted and wanted > 1):
        return parts, {}, None
    return parts[:-1], {}, parts[-1]


def _own_target(model: nn.Module) -> str:
    """Return the name by which a model takes its targets, to compute its loss itself; "" when it takes none."""
    names = list(inspect.signature(model.forward).parameters)
    return next((name for name in names[1:] if name in _TARGETS), "")


def _split_named(model: nn.Module, batch: dict[str, Any], feed: Feed) -> tuple[tuple[Any, ...], dict[str, Any], object]:
    """Return a dict as named inputs; its target apart, unless the model takes that itself and no loss is given."""
    known = inspect.signature(model.forward).parameters
    taken = {key: value for key, value in batch.items() if key in known}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        taken = dict(batch)
    key = next((name for name in _TARGETS if name in batch), None)
    if key is not None and (feed.loss is not None or key not in known):
        taken.pop(key, None)
        target = batch[key]
    else:
        target = None
    if taken:
        return (), taken, target
    return tuple(value for name, value in batch.items() if name != key), {}, target


def _run(model: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], words: str) -> object:
    try:
        result: object = model(*inputs, **keywords)
        return result
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"the model's forward failed on {words}: {type(error).__name__}: {reason}; give an input that fits, "
            "--input 32,3,28,28"
        ) from error


def _aimed(result: object, inputs: tuple[Any, ...], target: object, feed: Feed, words: str, *, told: bool) -> Passed:
    """Return the loss of a forward pass; ``told``: the model was given its targets."""
    output = output_of(result)
    if callable(feed.loss):
        loss = _scalar(_own(feed.loss, result, inputs, target, output))
        called = described(target) if target is not None else ""
        return Passed(loss, output, words, called, _name(feed.loss), False, False)
    made = own_loss(result) if target is not None or not told else own_loss_among(result)
    if made is not None and feed.loss is None:
        return Passed(_scalar(made), output, words, "", "the model's own loss", False, False)
    if output is None:
        raise UsageError(
            f"the model returned a {type(result).__name__} without a floating-point tensor: give a loss, "
            "--loss package.module:function"
        )
    chosen: Aim = aim(output, inputs[0] if inputs else None, target, feed.loss)
    try:
        loss = chosen.loss(output, chosen.target)
    except (RuntimeError, ValueError, IndexError) as error:
        raise UsageError(
            f"{chosen.loss_words} does not fit an output of shape {list(output.shape)} and a target of "
            f"{chosen.target_words}: {' '.join(str(error).split())[:120]}; give --target and --loss"
        ) from error
    return Passed(
        _scalar(loss), output, words, chosen.target_words, chosen.loss_words,
        target_made=not isinstance(target, Tensor), loss_made=feed.loss is None,
    )  # fmt: skip


def _own(
    loss: Callable[..., object], result: object, inputs: tuple[Any, ...], target: object, output: Tensor | None
) -> object:
    """Call the user's own loss with as much as it takes: output, output and target, or output and input."""
    wanted = len(required(loss.forward if isinstance(loss, nn.Module) else loss))
    if wanted == 1:
        return _called(loss, (result,), "loss_fn(output)")
    if wanted > 2 and isinstance(result, (tuple, list)):
        spread = (*result, target) if target is not None else tuple(result)
        return _called(loss, spread, "loss_fn(*outputs, target)")
    if isinstance(target, str) or target is None:
        if output is None:
            raise UsageError("the loss takes a target and there is none: give a batch (input, target) or --target")
        target = aim(output, inputs[0] if inputs else None, target, _class_loss(loss)).target
    return _called(loss, (result, target), "loss_fn(output, target)")


def _class_loss(loss: Callable[..., object]) -> str | None:
    """Return the named loss whose targets a user's loss takes, where its class tells."""
    kinds = {"CrossEntropyLoss": "cross_entropy", "MSELoss": "mse", "BCELoss": "bce", "BCEWithLogitsLoss": "bce_logits",
             "NLLLoss": "nll", "L1Loss": "l1", "SmoothL1Loss": "huber", "HuberLoss": "huber"}  # fmt: skip
    functions = {"cross_entropy": "cross_entropy", "mse_loss": "mse", "nll_loss": "nll", "l1_loss": "l1"}
    return kinds.get(type(loss).__name__) or functions.get(getattr(loss, "__name__", ""))


def _called(loss: Callable[..., object], arguments: tuple[object, ...], form: str) -> object:
    try:
        return loss(*arguments)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the loss failed as {form}: {type(error).__name__}: {reason}") from error


def _scalar(loss: object) -> Tensor:
    if not isinstance(loss, Tensor):
        raise UsageError(f"expected the loss to be a tensor, got a {type(loss).__name__}; return it before .item()")
    if loss.numel() != 1:
        raise UsageError(f"expected a scalar loss, got shape {list(loss.shape)}; reduce it, such as with .mean()")
    return loss.reshape(())


def _name(loss: object) -> str:
    return str(getattr(loss, "__qualname__", type(loss).__name__))


def known_loss(name: str) -> str:
    """Return a loss's name if there is such a loss.

    Raises:
        UsageError: There is none.
    """
    named(name)
    return name.lower().replace("-", "_")


def finite(tensor: Tensor) -> bool:
    """Return whether every entry is finite."""
    return bool(torch.isfinite(tensor).all())
