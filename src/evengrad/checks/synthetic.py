"""Inputs made up for a model that is checked without data: of unit size, as every initialisation assumes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evengrad.checks.subject import device_of, required
from evengrad.errors import UsageError

_CONVOLUTIONS = {1: (nn.Conv1d,), 2: (nn.Conv2d,), 3: (nn.Conv3d,)}
_TRANSPOSED = {1: (nn.ConvTranspose1d,), 2: (nn.ConvTranspose2d,), 3: (nn.ConvTranspose3d,)}
_SIDES = {1: (128, 512, 1024), 2: (32, 28, 64, 224), 3: (16, 32)}
_BATCH, _SEQUENCES, _LENGTH = 32, 8, 32
_SCORES = 1 << 22  # entries of a made-up language model's output
_DEEP = 500  # modules with weights
_PIXELS = 1 << 16  # entries of one made-up image above which the batch is smaller


@dataclass(frozen=True)
class Plan:
    """A made-up input: standard normal numbers, or tokens below ``tokens``."""

    shape: tuple[int, ...]
    tokens: int = 0

    def draw(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return a fresh input."""
        if self.tokens:
            return torch.randint(self.tokens, self.shape).to(device)
        return torch.randn(self.shape).to(device, dtype)

    @property
    def words(self) -> str:
        """What it is: ``float [32, 784]`` or ``tokens [8, 32]``."""
        return f"{'tokens' if self.tokens else 'float'} {list(self.shape)}"


def parse_shape(text: str) -> tuple[int, ...] | None:
    """Return the sizes in ``32,3,28,28`` (``x`` and spaces separate as well); None if it is no shape."""
    parts = text.replace("x", ",").replace(" ", ",").strip("[](),").split(",")
    sizes = [part for part in parts if part]
    if not sizes or not all(part.isascii() and part.isdecimal() for part in sizes):
        return None
    return tuple(map(int, sizes))


def plan_of(model: nn.Module, shape: tuple[int, ...]) -> Plan:
    """Return the plan for an input of a given shape: tokens where the first layer looks them up.

    Raises:
        UsageError: A size is 0.
    """
    if 0 in shape:
        raise UsageError(f"--input is {','.join(map(str, shape))}: expected sizes of at least 1, such as 32,784")
    first = first_layer(model)
    return Plan(shape, first.num_embeddings if isinstance(first, (nn.Embedding, nn.EmbeddingBag)) else 0)


def first_layer(model: nn.Module) -> nn.Module | None:
    """Return the first module with weights, in the order in which the model registers them."""
    known = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.Bilinear)
    convolutions = tuple(kind for table in (_CONVOLUTIONS, _TRANSPOSED) for kinds in table.values() for kind in kinds)
    return next((module for module in model.modules() if isinstance(module, (*known, *convolutions))), None)


def plans(model: nn.Module) -> list[Plan]:
    """Return what may fit the model's first layer, the likeliest first.

    Raises:
        UsageError: The model takes several inputs, or its first layer is unknown.
    """
    names = required(model.forward)
    if len(names) > 1:
        raise UsageError(
            f"the model's forward takes {len(names)} inputs ({', '.join(names)}): give a batch, --input package:batches"
        )
    first = first_layer(model)
    found = _plans(first)
    if not found:
        raise UsageError("the model's first layer says nothing of the input's shape: give it, --input 32,3,28,28")
    return found


def _plans(first: nn.Module | None) -> list[Plan]:
    """Return the shapes that a first layer takes."""
    if isinstance(first, nn.EmbeddingBag | nn.Embedding):
        # The output of a language model has an entry per token and word: of many words, a few tokens will do.
        sequences = max(2, min(_SEQUENCES, _SCORES // (_LENGTH * first.num_embeddings)))
        return [Plan((sequences, _LENGTH), first.num_embeddings), Plan((_BATCH,), first.num_embeddings)]
    if isinstance(first, nn.Linear):
        return [Plan((_BATCH, first.in_features)), Plan((_SEQUENCES, _LENGTH, first.in_features))]
    if isinstance(first, nn.RNNBase):
        return [Plan((_BATCH, _LENGTH, first.input_size)), Plan((_LENGTH, _BATCH, first.input_size))]
    if isinstance(first, nn.RNNCellBase):
        return [Plan((_BATCH, _LENGTH, first.input_size)), Plan((_BATCH, first.input_size))]
    if isinstance(first, nn.MultiheadAttention):
        return [Plan((_SEQUENCES, _LENGTH, first.embed_dim))]
    for dimensions, transposed in _TRANSPOSED.items():
        if isinstance(first, transposed):
            sides = [(side,) * dimensions for side in (1, 4, 8)]
            return [Plan((_BATCH, first.in_channels, *side)) for side in sides]
    for dimensions, kinds in _CONVOLUTIONS.items():
        if isinstance(first, kinds):
            sides = [(side,) * dimensions for side in _SIDES[dimensions]]
            return [Plan((_images(first.in_channels, side), first.in_channels, *side)) for side in sides]
    return []


def _images(channels: int, side: tuple[int, ...]) -> int:
    entries = channels
    for size in side:
        entries *= size
    return _BATCH if entries <= _PIXELS else 8


def fitting(model: nn.Module) -> Plan:
    """Return the first plan that the model's forward pass takes.

    Raises:
        UsageError: None does.
    """
    device, dtype = device_of(model), dtype_of(model)
    tried: list[str] = []
    for plan in (_thinned(model, plan) for plan in plans(model)):
        try:
            with torch.no_grad():
                model(plan.draw(device, dtype))
            return plan
        except Exception as error:
            tried.append(f"{list(plan.shape)}: {' '.join(str(error).split())[:80]}")
    raise UsageError(f"no made-up input fits (tried {'; '.join(tried)}); give its shape, --input 32,3,28,28")


def _thinned(model: nn.Module, plan: Plan) -> Plan:
    """Return a plan with half the batch for a very deep model, whose activations would outweigh its weights."""
    deep = sum(1 for module in model.modules() if module._parameters) > _DEEP
    return Plan((max(1, plan.shape[0] // 2), *plan.shape[1:]), plan.tokens) if deep else plan


def dtype_of(model: nn.Module) -> torch.dtype:
    """Return the number format of a model's weights."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
