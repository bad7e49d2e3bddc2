"""The losses of the step that is going on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from evengrad.core.statistic import Statistic
from evengrad.observation.amp import Scaling
from evengrad.observation.store import Store

_SETTLED = 10  # losses before a typical size is known
_MEMORY = 0.1  # weight of the newest loss in it
_JUMP = 5.0  # times the typical size


class Losses:
    """Collects what backward passes start from, until the optimizer steps; unscaled, and on an accelerator unread."""

    def __init__(self, store: Store, scaling: Scaling) -> None:
        self._store = store
        self._scaling = scaling
        self._current: list[float | Tensor] = []
        self._typical = math.nan  # size of the loss of late
        self._seen = 0
        self.jumped = False  # the last recorded loss is far above its typical size
        self.plain = 0  # backward passes from one number on the host in the last step; 0 when any was not

    def note(self, roots: Sequence[Tensor]) -> tuple[bool, bool]:
        """Keep the losses of a backward pass.

        Returns:
            Whether one was scaled by a GradScaler, and whether all that can be read without waiting are finite.
        """
        scaled, finite = False, True
        for root in roots:
            if root.numel() != 1 or root.is_complex():
                continue
            original = self._scaling.original(root)
            scaled = scaled or original is not None
            loss = original if original is not None and original.numel() == 1 else root
            if loss.device.type == "cpu":
                value = float(loss.item())
                self._current.append(value)
                finite = finite and math.isfinite(value)
            else:
                self._current.append(loss.detach())
        return scaled, finite

    def take(self, values: Sequence[float]) -> None:
        """Keep losses that were read elsewhere, in place of the current ones."""
        self._current = list(values)

    def forget(self) -> None:
        """Forget the current ones."""
        self._current = []

    def record(self, step: int, *, wait: bool) -> None:
        """Record the sum of the current losses; those on an accelerator only where waiting is allowed."""
        losses, self._current = self._current, []
        on_host = all(isinstance(loss, float) for loss in losses)
        self.plain = len(losses) if on_host else 0
        if losses and (on_host or wait):
            self.add(step, sum(float(loss) for loss in losses))

    def add(self, step: int, loss: float) -> None:
        """Record the loss of a step, and note when it jumps: the next step is then worth a closer look."""
        self._store.add(step, Statistic.LOSS, "", loss)
        size = abs(loss)
        self.jumped = self._seen >= _SETTLED and size > _JUMP * self._typical
        if math.isfinite(size):
            self._typical = size if self._seen == 0 else self._typical + _MEMORY * (size - self._typical)
            self._seen += 1
