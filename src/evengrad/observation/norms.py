"""Norms of all gradients in one fused pass, without a synchronisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evengrad.probes._sizes import HALF, norm, plain, resolve

_SAFE_LOW, _SAFE_HIGH = 1e-15, 1e15


@dataclass(eq=False)
class PendingNorms:
    """L2 norms of tensors, perhaps still on an accelerator; ``positions`` maps them to the caller's list."""

    count: int
    groups: list[tuple[list[int], Tensor]]
    known: dict[int, float]

    def values(self) -> list[float]:
        """Return the norms by the caller's position; nan where there was no tensor. Waits for the device."""
        result = [math.nan] * self.count
        for position, value in self.known.items():
            result[position] = value
        for positions, stacked in self.groups:
            for position, value in zip(positions, stacked.tolist(), strict=True):
                result[position] = value
        return result


def fused_norms(tensors: Sequence[Tensor | None]) -> PendingNorms:
    """Return the L2 norm of each tensor, in one pass per device and dtype.

    Norms outside the range in which float32 squares are safe are taken again in float64, on the CPU, where looking is
    free.
    """
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    known: dict[int, float] = {}
    with torch.no_grad():
        for position, tensor in enumerate(tensors):
            if tensor is None:
                continue
            if type(tensor) is Tensor and tensor.layout is torch.strided and not tensor.is_complex():
                groups.setdefault((tensor.device, tensor.dtype), []).append(position)
            else:
                (known[position],) = resolve([norm(tensor)])
        pending = []
        for (_, dtype), positions in groups.items():
            dense = [plain(tensor) for tensor in (tensors[i] for i in positions) if tensor is not None]
            pending.append(
                (positions, torch.stack(torch._foreach_norm(dense, 2, torch.float32 if dtype in HALF else None)))
            )
        result = PendingNorms(len(tensors), pending, known)
        if all(stacked.device.type == "cpu" for _, stacked in pending):
            _recheck(result, tensors)
    return result


def _recheck(pending: PendingNorms, tensors: Sequence[Tensor | None]) -> None:
    """Replace norms whose squares may have under- or overflowed."""
    for positions, stacked in pending.groups:
        for position, value in zip(positions, stacked.tolist(), strict=True):
            tensor = tensors[position]
            unsafe = tensor is not None and not _SAFE_LOW < value < _SAFE_HIGH and tensor.dtype is not torch.float64
            pending.known[position] = float(norm(tensor)) if unsafe and tensor is not None else value
    pending.groups.clear()
