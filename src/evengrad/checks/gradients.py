"""The gradient of every parameter, looked at as it arrives and never kept: no ``.grad`` is touched."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evengrad.observation.graph import Graph
from evengrad.probes._sizes import norm, plain, resolve, thinned

_SAMPLE = 1 << 14  # entries of one gradient that are looked at one by one: whole rows, evenly spaced
FP16_ZERO = 2.0**-25  # half of float16's smallest number: what is not larger rounds to 0
_PACKED = re.compile(r"(in_proj|qkv|c_attn|Wqkv|query_key_value)", re.IGNORECASE)
_QUERY_KEY = re.compile(r"(^|[._])(q|k|query|key|to_q|to_k|wq|wk|q_proj|k_proj|q_lin|k_lin)([._]|$)", re.IGNORECASE)
_VALUE = re.compile(r"(^|[._])(v|value|to_v|wv|v_proj|v_lin)([._]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class GradientReading:
    """What one parameter's gradient was: sizes, and what float16 would make of its entries.

    ``query_key`` and ``value`` are the norms of its parts in an attention layer, 0 where it has no such parts.
    """

    norm: float
    numel: int
    largest: float
    underflow: float  # share of the non-zero entries that round to 0 in float16
    zero_share: float
    query_key: float = 0.0
    value: float = 0.0

    @property
    def rms(self) -> float:
        """Root mean square of its entries."""
        return self.norm / math.sqrt(max(1, self.numel))


class GradientCatcher:
    """Reads the gradients of a backward pass at the leaves and lets them go."""

    def __init__(self, graph: Graph, names: Mapping[int, str]) -> None:
        self._names = names
        self.readings: dict[str, GradientReading] = {}
        self.error: Exception | None = None
        self._handles = [
            operation.node.register_prehook(self._hook(operation.node.variable))  # type: ignore[attr-defined]
            for operation in graph.operations
            if operation.name == "AccumulateGrad"
        ]

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, leaf: Tensor) -> Callable[[tuple[Tensor | None, ...]], tuple[None]]:
        name = self._names.get(id(leaf), "")

        def hook(gradients: tuple[Tensor | None, ...]) -> tuple[None]:
            try:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    gradient = gradients[0]
                    if gradient is not None and name:
                        self.readings[name] = _read(name, plain(gradient.detach()))
            except Exception as error:  # raising here would leave torch's engine in an undefined state
                self.error = error
            # Nothing arrives at the leaf: its .grad stays what it was, and hooks that act on it do not run.
            return (None,)

        return hook


def _read(name: str, gradient: Tensor) -> GradientReading:
    if gradient.numel() == 0:
        return GradientReading(0.0, 0, 0.0, 0.0, 1.0)
    kept = thinned(gradient, _SAMPLE).abs()
    live = kept > 0
    lost = (live & (kept <= FP16_ZERO)).sum() / live.sum().clamp(min=1)
    size, largest, underflow, zero = resolve(
        [norm(gradient), torch.linalg.vector_norm(gradient, float("inf")), lost.float(), (~live).float().mean()]
    )
    query_key, value = _parts(name, gradient, size)
    return GradientReading(size, gradient.numel(), largest, underflow, zero, query_key, value)


def _parts(name: str, gradient: Tensor, size: float) -> tuple[float, float]:
    """Return the norms of the query-and-key part and of the value part of an attention weight's gradient."""
    if gradient.dim() != 2:
        return 0.0, 0.0
    if _PACKED.search(name):
        dim = 0 if gradient.shape[0] == 3 * gradient.shape[1] else 1
        if gradient.shape[dim] % 3:
            return 0.0, 0.0
        query, key, value = (float(part) for part in resolve([norm(part) for part in gradient.chunk(3, dim)]))
        return ((query**2 + key**2) / 2) ** 0.5, value
    if _VALUE.search(name):
        return 0.0, size
    return (size, 0.0) if _QUERY_KEY.search(name) else (0.0, 0.0)
