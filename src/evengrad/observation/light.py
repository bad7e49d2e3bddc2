"""The light pass: norms of all gradients when they are ready, before clipping and without the loss scale."""

from __future__ import annotations

import math

from torch import Tensor

from evengrad.core.statistic import Statistic
from evengrad.observation.norms import PendingNorms, fused_norms
from evengrad.observation.optimizers import Held
from evengrad.observation.store import Store


class LightPass:
    """Takes gradient norms; on an accelerator they are read one light step later, without waiting."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clip: tuple[int, float, Tensor] | None = None
        self._waiting: tuple[PendingNorms, int, list[str], list[int], float, float] | None = None
        self._missing: dict[str, bool] = {}
        self._before_clamp = math.nan

    def clipped(self, parameters: object, max_norm: float, total: Tensor) -> None:
        """Remember what a clipping call found."""
        count = len(parameters) if isinstance(parameters, (list, tuple)) else 1 if isinstance(parameters, Tensor) else 0
        self._clip = (count, max_norm, total)

    def before_value_clip(self, parameters: object) -> None:
        """Take the norm of all gradients before each entry is clamped, where that costs no waiting."""
        tensors = parameters if isinstance(parameters, (list, tuple)) else [parameters]
        gradients = [tensor.grad for tensor in tensors if isinstance(tensor, Tensor) and tensor.grad is not None]
        if gradients and all(gradient.device.type == "cpu" for gradient in gradients):
            norms = fused_norms([gradient.detach() for gradient in gradients]).values()
            self._before_clamp = math.sqrt(sum(norm * norm for norm in norms))

    def pass_by(self) -> None:
        """Forget what a clipping call found on a step that is not looked at."""
        self._clip, self._before_clamp = None, math.nan

    def _take_clip(self, held: Held, step: int) -> float:
        """Record what clipping did to this step; return its factor."""
        if self._clip is None:
            return 1.0
        count, max_norm, total = self._clip
        self._clip = None
        norm = float(total)
        factor = min(1.0, max_norm / (norm + 1e-6)) if math.isfinite(norm) else 1.0
        self._store.add(step, Statistic.CLIP_MAX_NORM, "", max_norm)
        self._store.add(step, Statistic.CLIP_COEF, "", factor)
        return factor if count == len(held.names) else 1.0

    def take(self, step: int, held: Held, scale: float) -> list[str]:
        """Measure an optimizer's gradients.

        Args:
            step: Number of the step.
            held: The optimizer.
            scale: Loss scale still in the gradients.

        Returns:
            Names of the parameters whose gradient is not finite, of this step or (on an accelerator) of the last
            light one.
        """
        factor = self._take_clip(held, step)
        self._record_rates(held, step)
        parameters = held.live()
        gradients = [parameter.grad if parameter is not None else None for parameter in parameters]
        for name, gradient in zip(held.names, gradients, strict=True):
            missing = gradient is None
            if self._missing.get(name) is not missing:
                self._missing[name] = missing
                self._store.add(step, Statistic.GRAD_MISSING, name, float(missing))
        bad = self.settle()
        sizes = [parameter.numel() if parameter is not None else 1 for parameter in parameters]
        pending = fused_norms([gradient.detach() if gradient is not None else None for gradient in gradients])
        self._waiting = (pending, step, held.names, sizes, factor, scale)
        return bad + (self.settle() if not pending.groups else [])

    def settle(self) -> list[str]:
        """Record norms that were still on their way; return the names whose gradient is not finite."""
        if self._waiting is None:
            return []
        pending, step, names, sizes, factor, scale = self._waiting
        self._waiting = None
        norms = pending.values()
        known = [i for i in range(len(names)) if i in pending.known or any(i in group for group, _ in pending.groups)]
        divisor = scale * (factor or 1.0)
        squares = 0.0
        bad = []
        for i in known:
            value = norms[i] / divisor
            squares += value * value
            self._store.add(step, Statistic.GRAD_RMS, names[i], value / math.sqrt(max(sizes[i], 1)))
            if not math.isfinite(value):
                bad.append(names[i])
        if known:
            total = math.sqrt(squares) if squares >= 0 else math.nan
            before, self._before_clamp = self._before_clamp / scale, math.nan
            if math.isfinite(before) and before > 0:
                self._store.add(step, Statistic.CLIP_COEF, "", min(1.0, total / before))
            self._store.add(step, Statistic.GRAD_NORM, "", before if math.isfinite(before) else total)
        return bad

    def _record_rates(self, held: Held, step: int) -> None:
        """Record learning rates that have changed."""
        optimizer = held.reference()
        if optimizer is None:
            return
        rates = [float(group.get("lr", math.nan)) for group in optimizer.param_groups]
        for number, rate in enumerate(rates):
            if number >= len(held.rates) or held.rates[number] != rate:
                self._store.add(step, Statistic.LEARNING_RATE, f"{held.index}/{number}", rate)
        held.rates = rates
