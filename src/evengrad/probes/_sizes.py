"""Sizes of tensors, safe against underflow and overflow of the squares, without synchronising an accelerator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Number = float | Tensor
"""A Python float (CPU), or a 0-dimensional tensor that still lives on an accelerator."""

# Squares of values between these stay normal numbers in float32, whatever the (reasonable) number of entries.
_SAFE_LOW, _SAFE_HIGH = 1e-15, 1e15
HALF = (torch.float16, torch.bfloat16)


def plain(tensor: Tensor) -> Tensor:
    """Return the dense, real, local entries of a tensor: sparse values, real view of complex, local shard."""
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout is torch.sparse_coo else tensor.to_dense()
    local = tensor.__dict__.get("_local_tensor") if type(tensor) is not Tensor else None
    if isinstance(local, Tensor):
        tensor = local
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def norm(tensor: Tensor) -> Number:
    """Return the L2 norm of a tensor; a float on the CPU, a float64 scalar on its device elsewhere."""
    tensor = plain(tensor)
    if tensor.numel() == 0:
        return 0.0
    if tensor.device.type == "cpu":
        value = _norm(tensor, torch.float32 if tensor.dtype in HALF else tensor.dtype).item()
        if _SAFE_LOW < value < _SAFE_HIGH or tensor.dtype is torch.float64:
            return float(value)
        return float(_norm(tensor, torch.float64).item())
    return _norm(tensor, torch.float32 if tensor.device.type == "mps" else torch.float64)


def _norm(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    result: Tensor = torch.linalg.vector_norm(tensor, dtype=dtype)
    return result


def rms(tensor: Tensor) -> Number:
    """Return the root mean square of a tensor's entries; 0 for an empty tensor."""
    return norm(tensor) / math.sqrt(max(plain(tensor).numel(), 1))


def number(tensor: Tensor) -> Number:
    """Return a 0-dimensional tensor as a float where that costs no synchronisation, else as it is."""
    return tensor.item() if tensor.device.type == "cpu" else tensor.detach()


def resolve(numbers: Sequence[Number]) -> list[float]:
    """Bring numbers to the host, with one transfer per device."""
    values = [value if isinstance(value, (int, float)) else math.nan for value in numbers]
    by_device: dict[torch.device, list[int]] = {}
    for position, value in enumerate(numbers):
        if isinstance(value, Tensor):
            by_device.setdefault(value.device, []).append(position)
    for positions in by_device.values():
        stacked = torch.stack([numbers[position].double() for position in positions])  # type: ignore[union-attr]
        for position, value in zip(positions, stacked.tolist(), strict=True):
            values[position] = value
    return values


def thinned(tensor: Tensor, limit: int = 1 << 20) -> Tensor:
    """Return at most about ``limit`` entries: whole samples, evenly spaced along the first dimension."""
    tensor = plain(tensor.detach())
    if tensor.numel() <= limit or tensor.dim() == 0:
        return tensor
    stride = -(-tensor.numel() // limit)
    return tensor[::stride] if tensor.shape[0] >= 2 * stride else tensor[: max(2, tensor.shape[0] // stride)]
