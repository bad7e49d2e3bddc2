"""Attention at step 0: how even its weights are, how large its scores, and how alike the tokens have become."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.utils.hooks import RemovableHandle

from evengrad.checks.result import Attention
from evengrad.observation.graph import Graph, Operation
from evengrad.observation.operations import VIEWS
from evengrad.observation.registry import Registry
from evengrad.probes._base import NodeView

_SEQUENCES, _HEADS, _TOKENS = 2, 4, 256  # of one attention that are looked at
_FEWEST = 4  # positions that a row may look at, to have an entropy worth the name
_DEAD = 0.01  # of a uniform row's 1 - sum a^2: theory page, beyond MLP and CNN
_HOPS = 6


def attentions(graph: Graph, readable: dict[int, bool]) -> Iterator[Attention]:
    """Yield a reading of each attention operation of a graph whose saved tensors may be read."""
    for index in graph.data():
        operation = graph.operations[index]
        if not readable.get(index, False):
            continue
        view = NodeView(operation.node, operation.name, operation.site, True)
        if operation.name in ("Softmax", "SafeSoftmax"):
            weights = view.saved("result")
            if weights is not None and weights.dim() >= 3 and _weighs_values(graph, index):
                yield _read(operation, weights.detach().flatten(0, -3)[: _SEQUENCES * _HEADS, -_TOKENS:].float())
        elif operation.name.startswith("ScaledDotProduct"):
            weights = _recomputed(view)
            if weights is not None:
                yield _read(operation, weights)


def _weighs_values(graph: Graph, index: int) -> bool:
    """Return whether a softmax's result is multiplied by values, a few views and a dropout later."""
    for _ in range(_HOPS):
        consumers = graph.operations[index].consumers
        if not consumers:
            return False
        index = consumers[0][0]
        name = graph.operations[index].name
        if name in ("Bmm", "Baddbmm", "Mm"):
            return True
        if name not in VIEWS and name not in ("NativeDropout", "Mul"):
            return False
    return False


def _recomputed(view: NodeView) -> Tensor | None:
    """Return the weights of a fused attention, computed once more for a few heads."""
    query, key = view.saved("query"), view.saved("key")
    if query is None or key is None or query.dim() != 4 or query.shape[1] != key.shape[1]:
        return None
    query = query.detach()[:_SEQUENCES, :_HEADS].float()
    key = key.detach()[:_SEQUENCES, :_HEADS].float()
    scale = view.attribute("scale", 0.0) or 1 / math.sqrt(query.shape[-1])
    scores = query @ key.transpose(-1, -2) * scale
    causal = getattr(view.node, "_saved_is_causal", False)
    mask = view.saved("attn_mask")
    if causal is True:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
    elif mask is not None and mask.dim() <= scores.dim():
        mask = mask.detach()[: _SEQUENCES if mask.dim() == 4 and mask.shape[0] > 1 else 1]
        mask = mask[:, :_HEADS] if mask.dim() == 4 and mask.shape[1] > 1 else mask
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask.float()
    return scores.softmax(-1).flatten(0, 1)[:, -_TOKENS:]


def _read(operation: Operation, weights: Tensor) -> Attention:
    """Return the reading of attention weights ``[N, T, S]``; the upper triangle of a causal one does not count."""
    rows, columns = weights.shape[-2:]
    causal = rows == columns and rows > 1 and not bool(weights.triu(1).any())
    seen = torch.ones(rows, columns, dtype=torch.bool, device=weights.device)
    allowed = seen.tril() if causal else seen
    counts = allowed.sum(-1)
    chosen = counts >= _FEWEST
    if not bool(chosen.any()):
        return Attention(operation.module, math.nan, math.nan, math.nan, columns)
    kept, counts, mask = weights[:, chosen], counts[chosen].float(), allowed[chosen]
    logs = kept.clamp(min=1e-38).log()
    entropy = -(kept * logs).sum(-1) / counts.log()
    mean = (logs * mask).sum(-1, keepdim=True) / counts[:, None]
    spread = (((logs - mean) ** 2 * mask).sum(-1) / counts).sqrt()
    dead = 1 - kept.square().sum(-1) < _DEAD * (1 - 1 / counts)
    return Attention(operation.module, float(entropy.mean()), float(spread.mean()), float(dead.float().mean()), columns)


class TokenWatch:
    """Measures how alike the tokens of a sequence are at each normalisation of a forward pass."""

    def __init__(self, model: nn.Module, registry: Registry) -> None:
        self._registry = registry
        heads = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
        self._sequence_first = bool(heads) and not any(module.batch_first for module in heads)
        self._handle: RemovableHandle | None = None
        self.cosines: list[tuple[str, float]] = []  # in the order of the forward pass

    def start(self) -> None:
        """Listen to the forward passes to come."""
        self._handle = torch_module.register_module_forward_hook(self._see)

    def stop(self) -> None:
        """Listen no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _see(self, module: nn.Module, inputs: object, output: object) -> None:
        named = "norm" in type(module).__name__.lower()
        if not named or not isinstance(output, Tensor) or output.dim() != 3 or not output.is_floating_point():
            return
        with torch.no_grad():
            tokens = output.detach()
            tokens = tokens.transpose(0, 1) if self._sequence_first else tokens
            if tokens.shape[1] < _FEWEST:
                return
            cosine = mean_cosine(tokens[:_FEWEST, :_TOKENS].float())
        self.cosines.append((self._registry.name_of_module(module) or "", cosine))


def mean_cosine(tokens: Tensor) -> float:
    """Return the mean cosine between different tokens of a sequence; ``[N, T, D]``.

    Source:
        Noci et al., NeurIPS 2022 (rank collapse: it tends to 1).
    """
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    count = tokens.shape[1]
    sums = unit.sum(1).square().sum(-1)
    return float(((sums - count) / (count * (count - 1))).mean())
