"""What a GradScaler does: scale in force, steps skipped by design."""

from __future__ import annotations

import math
import weakref

import torch
from torch import Tensor

from evengrad.core.event import EventKind
from evengrad.core.statistic import Statistic
from evengrad.observation.store import Store


class Scaling:
    """Follows the run's GradScaler."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scaler: weakref.ref[object] | None = None
        self._result: int = 0
        self._outputs: Tensor | None = None
        self._last_scale = math.nan
        self._stepped = False
        self.pending = False  # gradients of the last backward are still scaled
        self.inside = False

    def scaled(self, scaler: object, outputs: object, result: object) -> None:
        """Remember which loss a scaled loss stands for."""
        self._scaler = weakref.ref(scaler)
        if isinstance(outputs, Tensor) and isinstance(result, Tensor):
            self._result, self._outputs = id(result), outputs.detach()

    def original(self, root: Tensor) -> Tensor | None:
        """Return the unscaled loss behind a scaled one, once; None when it was not scaled."""
        if self._outputs is None or id(root) != self._result:
            return None
        outputs, self._outputs, self._result = self._outputs, None, 0
        return outputs

    def scale(self) -> float:
        """Return the loss scale in force; 1 without an enabled scaler. Waits for the device."""
        scaler = self._scaler() if self._scaler is not None else None
        current = getattr(scaler, "_scale", None)
        return float(current) if isinstance(current, Tensor) else 1.0

    @property
    def in_use(self) -> bool:
        """Whether the run scales its losses."""
        return self._scaler is not None

    @property
    def on_host(self) -> bool:
        """Whether the scale can be read without a synchronisation."""
        scaler = self._scaler() if self._scaler is not None else None
        current = getattr(scaler, "_scale", None)
        return not isinstance(current, Tensor) or current.device.type == "cpu"

    def begin_step(self) -> None:
        """Note that the scaler decides about a step."""
        self.inside, self._stepped = True, False

    def stepped(self) -> None:
        """Note that it let the optimizer step."""
        self._stepped = True

    @property
    def skipped(self) -> bool:
        """Whether the scaler has just decided against the step."""
        return not self._stepped

    def end_step(self, step: int) -> None:
        """Record the scale and whether the step was skipped."""
        self.inside = False
        if not self.on_host:
            return
        skipped = self.skipped
        self._store.add(step, Statistic.AMP_SKIPPED, "", float(skipped))
        if skipped:
            self._store.note(EventKind.STEP_SKIPPED, step)
        scale = self.scale()
        if scale != self._last_scale:
            self._last_scale = scale
            self._store.add(step, Statistic.LOSS_SCALE, "", scale)

    @staticmethod
    def still_in(optimizer: torch.optim.Optimizer) -> float:
        """Return the factor that is still in an optimizer's gradients at its step: fused optimizers unscale inside."""
        held = optimizer.__dict__.get("grad_scale")
        return float(held) if isinstance(held, Tensor) else 1.0
