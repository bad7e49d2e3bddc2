"""Unscale before clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.remedies._loop import AbstractLoopRepair


@dataclass(frozen=True)
class UnscaleBeforeClip(AbstractLoopRepair):
    """Divide the loss scale out of the gradients before they are clipped.

    What it changes:
        ``scaler.unscale_(optimizer)`` is called right before the clip.

    Why it helps:
        A GradScaler's gradients are up to 65,536 times too large. A bound that is compared with those acts on every
        step and leaves a 65,536th of what it is meant to leave.

    When not to:
        With gradients that are accumulated over several batches it belongs before the step, once, not behind every
        backward.

    Source:
        PyTorch documentation, automatic mixed precision examples, "gradient clipping"; own measurement.
    """

    kinds: ClassVar = (EventKind.CLIP_BEFORE_UNSCALE,)
    messages: ClassVar[Mapping[str, str]] = {
        "why": "compares max_norm with the true gradient",
    }


REMEDY = UnscaleBeforeClip()
