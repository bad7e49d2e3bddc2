"""The loss of a check: the user's own, a named one, or the one that fits what comes out of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from evengrad.checks.synthetic import parse_shape
from evengrad.errors import UsageError

Loss = Callable[[Tensor, Any], Tensor]
_IMAGES: Final = (1, 3)  # channels by which an output is taken for an image, not for classes


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy; of sequences ``[N, T, C]`` with targets ``[N, T]`` as well."""
    if output.dim() >= 3 and target.shape == output.shape[:-1]:
        output, target = output.reshape(-1, output.shape[-1]), target.reshape(-1)
    return F.cross_entropy(output.float(), target)


def _binary(output: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy(output, target.to(output.dtype).reshape(output.shape))


def _binary_scores(output: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(output, target.to(output.dtype).reshape(output.shape))


def _squares(output: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(output, target.to(output.dtype).reshape(output.shape))


def _absolutes(output: Tensor, target: Tensor) -> Tensor:
    return F.l1_loss(output, target.to(output.dtype).reshape(output.shape))


def _huber(output: Tensor, target: Tensor) -> Tensor:
    return F.smooth_l1_loss(output, target.to(output.dtype).reshape(output.shape))


NAMED: Final[Mapping[str, Loss]] = {
    "cross_entropy": _cross_entropy,
    "nll": F.nll_loss,
    "mse": _squares,
    "l1": _absolutes,
    "huber": _huber,
    "bce": _binary,
    "bce_logits": _binary_scores,
}


def named(name: str) -> Loss:
    """Return a loss by name.

    Raises:
        UsageError: There is none of that name.
    """
    found = NAMED.get(name.lower().replace("-", "_"))
    if found is None:
        raise UsageError(f"--loss is {name!r}: expected one of {', '.join(NAMED)}, or package.module:function")
    return found


def output_of(result: object) -> Tensor | None:
    """Return the tensor that a loss would act on, from whatever a forward pass returns."""
    if isinstance(result, Tensor):
        return result if result.is_floating_point() or result.is_complex() else None
    if isinstance(result, Mapping):
        parts = [result[key] for key in ("logits", "output", "out") if key in result] + list(result.values())
    elif isinstance(result, (tuple, list)):
        parts = list(result)
    else:
        parts = [vars(result).get("logits")] if hasattr(result, "__dict__") else []
    return next((tensor for part in parts if (tensor := output_of(part)) is not None), None)


def own_loss(result: object) -> Tensor | None:
    """Return the loss that a model computes itself: a scalar output, or a part of that name."""
    if isinstance(result, Mapping):
        found = result.get("loss")
    elif isinstance(result, Tensor):
        found = result if result.dim() == 0 else None
    else:
        found = vars(result).get("loss") if hasattr(result, "__dict__") else None
    return found if isinstance(found, Tensor) and found.numel() == 1 else None


def own_loss_among(result: object) -> Tensor | None:
    """Return the loss that a model which was given its targets computes itself: also a scalar among its outputs."""
    if isinstance(result, (tuple, list)):
        scalars = (part for part in result if isinstance(part, Tensor) and part.dim() == 0 and part.requires_grad)
        return next(scalars, None)
    return own_loss(result)


@dataclass(frozen=True, eq=False)
class Aim:
    """A target and the loss that holds the output against it, with what each is called."""

    target: Tensor | None
    loss: Loss
    target_words: str
    loss_words: str


def aim(output: Tensor, inputs: object, target: object, loss: str | None) -> Aim:
    """Return target and loss; what is not given is chosen by the output's form.

    Args:
        output: What the model returned.
        inputs: Its first input.
        target: A tensor, ``"classes:10"``, a shape, or None.
        loss: Name of a loss, or None.

    Raises:
        UsageError: The target's text means nothing, or does not fit.
    """
    if isinstance(target, Tensor):
        name = loss or _loss_for(output, target)
        return Aim(target, named(name), f"{str(target.dtype).removeprefix('torch.')} {list(target.shape)}", name)
    if isinstance(target, str):
        return _asked_for(output, target, loss)
    name = loss or _usual_loss(output, inputs)
    return Aim(*_made(output, inputs, name), name)


def _asked_for(output: Tensor, target: str, loss: str | None) -> Aim:
    """Return the aim that ``--target`` describes."""
    word, _, count = target.partition(":")
    if word == "classes" and count.isdecimal() and int(count) > 0:
        drawn = torch.randint(int(count), _positions(output, int(count)), device=output.device)
        name = loss or "cross_entropy"
        return Aim(drawn, named(name), f"classes:{count}", name)
    shape = parse_shape(target)
    if shape is None:
        raise UsageError(f"--target is {target!r}: expected classes:10, a shape such as 32,10, or package:name")
    name = loss or "mse"
    return Aim(torch.randn(shape, device=output.device), named(name), f"float {list(shape)}", name)


def _positions(output: Tensor, classes: int) -> tuple[int, ...]:
    """Return the shape of the class targets of an output.

    Raises:
        UsageError: No dimension of the output has that many classes.
    """
    if output.dim() == 3 and output.shape[-1] == classes:
        return tuple(output.shape[:-1])
    if output.dim() >= 2 and output.shape[1] == classes:
        return (output.shape[0], *output.shape[2:])
    raise UsageError(f"--target is classes:{classes}, but the output has shape {list(output.shape)}")


def _loss_for(output: Tensor, target: Tensor) -> str:
    """Return the loss that a given target suggests."""
    last = _last_operation(output)
    if not target.is_floating_point() and (target.dim() < output.dim() or target.shape[1:] != output.shape[1:]):
        one_score = output.dim() >= 2 and output.shape[-1] == 1 and output.numel() == target.numel()
        if not one_score:
            return "nll" if last.startswith("LogSoftmax") else "cross_entropy"
    if last.startswith("Sigmoid"):
        return "bce"
    return "mse" if target.is_floating_point() else "bce_logits"


def _usual_loss(output: Tensor, inputs: object) -> str:
    """Return the loss that the form of an output suggests."""
    last = _last_operation(output)
    if last.startswith("LogSoftmax"):
        return "nll"
    if isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.shape == output.shape:
        return "mse"
    if last.startswith("Sigmoid"):
        return "bce"
    if last.startswith("Tanh") or output.dim() < 2 or output.shape[-1 if output.dim() == 3 else 1] == 1:
        return "mse"
    if output.dim() >= 4 and output.shape[1] in _IMAGES:
        return "mse"
    tokens = isinstance(inputs, Tensor) and not inputs.is_floating_point()
    return "cross_entropy" if output.dim() != 3 or tokens else "mse"


def _made(output: Tensor, inputs: object, loss: str) -> tuple[Tensor, Loss, str]:
    """Return a made-up target for a loss, the loss, and what the target is."""
    if loss in ("cross_entropy", "nll") and output.dim() >= 2:
        classes = output.shape[-1] if output.dim() == 3 else output.shape[1]
        return (
            torch.randint(classes, _positions(output, classes), device=output.device),
            named(loss),
            f"classes:{classes}",
        )
    if loss.startswith("bce"):
        return torch.randint(2, tuple(output.shape), device=output.device), named(loss), "zeros and ones"
    if isinstance(inputs, Tensor) and inputs.shape == output.shape and inputs.is_floating_point():
        return inputs.detach(), named(loss), "the input itself"
    drawn = torch.randn(tuple(output.shape), device=output.device)
    return drawn, named(loss), f"float {list(output.shape)}"


def _last_operation(output: Tensor) -> str:
    """Return the name of the operation that made a tensor, reshaping left out."""
    node = output.grad_fn
    for _ in range(4):
        if node is None or not node.name().startswith(("View", "Squeeze", "Reshape", "UnsafeView", "Select")):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    return node.name() if node is not None else ""
