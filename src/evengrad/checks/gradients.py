"""The gradient of every parameter, looked at as it arrives and never kept: no ``.grad`` is touched."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evengrad.observation.graph import Graph, Operation
from evengrad.probes._sizes import norm, plain, resolve, thinned

_SAMPLE = 1 << 14  # entries of one gradient that are looked at one by one: whole rows, evenly spaced
FP16_ZERO = 2.0**-25  # half of float16's smallest number: what is not larger rounds to 0
_LARGE = 1 << 20  # entries of an embedding from which on its dense gradient is not made; own choice
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


@dataclass(eq=False)
class _Rows:
    """The gradient of a large embedding, as the rows that the batch has looked up: ``[U]`` and ``[U, D]``."""

    rows: Tensor
    values: Tensor

    @classmethod
    def of(cls, indices: Tensor, gradient: Tensor, padding: int) -> _Rows:
        rows, places = torch.unique(indices.flatten(), return_inverse=True)
        flat = gradient.reshape(-1, gradient.shape[-1]).float()
        values = torch.zeros(len(rows), flat.shape[1], device=flat.device).index_add_(0, places, flat)
        kept = rows != padding
        return cls(rows[kept], values[kept])


class GradientCatcher:
    """Reads the gradients of a backward pass at the leaves and lets them go.

    Of a large embedding the dense gradient, nearly all of it zero, is never made: it would be the largest tensor of the
    whole pass, and twice that where the head is tied to it.
    """

    def __init__(self, graph: Graph, names: Mapping[int, str]) -> None:
        self._names = names
        self.readings: dict[str, GradientReading] = {}
        self.error: Exception | None = None
        self._looked_up: dict[int, list[_Rows]] = {}
        self._handles = [
            operation.node.register_prehook(self._look_up(operation))
            for operation in graph.operations
            if _is_large_embedding(operation)
        ]
        self._handles += [
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
                    gradient, parts = gradients[0], self._looked_up.pop(id(leaf), [])
                    if name and parts:
                        self.readings[name] = _read_rows(leaf, gradient, parts)
                    elif name and gradient is not None:
                        self.readings[name] = _read(name, plain(gradient.detach()))
            except Exception as error:  # raising here would leave torch's engine in an undefined state
                self.error = error
            # Nothing arrives at the leaf: its .grad stays what it was, and hooks that act on it do not run.
            return (None,)

        return hook

    def _look_up(self, operation: Operation) -> Callable[[tuple[Tensor | None, ...]], tuple[Tensor | None, ...]]:
        """Return a hook that keeps the rows of an embedding's gradient, and lets none be made."""
        leaf, node = id(operation.weights[0]), operation.node

        def hook(gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
            try:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    gradient = gradients[0]
                    if gradient is None:
                        return gradients
                    indices: Tensor = node._saved_indices  # type: ignore[attr-defined]
                    padding = int(node._saved_padding_idx)  # type: ignore[attr-defined]
                    rows = _Rows.of(indices, gradient.detach(), padding)
                    self._looked_up.setdefault(leaf, []).append(rows)
            except Exception as error:
                self.error = error
            return (None,)

        return hook


def _is_large_embedding(operation: Operation) -> bool:
    node = operation.node
    plain_rows = not getattr(node, "_saved_scale_grad_by_freq", True) and not getattr(node, "_saved_sparse", True)
    return operation.name == "Embedding" and plain_rows and sum(w.numel() for w in operation.weights) >= _LARGE


def _read_rows(leaf: Tensor, gradient: Tensor | None, parts: list[_Rows]) -> GradientReading:
    """Return the reading of an embedding: its rows, and what else arrived where the weight is used elsewhere too."""
    rows = torch.cat([part.rows for part in parts])
    found = _Rows.of(rows, torch.cat([part.values for part in parts]), -1)
    values = found.values
    if gradient is None:
        reading = _read("", values)
        silent = 1 - values.numel() / leaf.numel() * (1 - reading.zero_share)
        return replace(reading, numel=leaf.numel(), zero_share=silent)
    reading = _read("", gradient.detach())
    here = gradient.detach()[found.rows].float()
    inner, own = resolve([(here * values).sum().double(), norm(values)])
    highest = torch.linalg.vector_norm(gradient.detach(), float("inf"), dim=1).float()
    highest[found.rows] = torch.linalg.vector_norm(here + values, float("inf"), dim=1)
    (largest,) = resolve([highest.max()])
    return replace(reading, norm=math.sqrt(max(0.0, reading.norm**2 + 2 * inner + own**2)), largest=largest)


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
