"""Clipping between backward and step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.remedies._loop import AbstractLoopRepair


@dataclass(frozen=True)
class ClipBeforeStep(AbstractLoopRepair):
    """Clip between backward and step, where the gradient is.

    What it changes:
        The call that clips is moved to behind ``backward`` and in front of ``step``.

    Why it helps:
        Before backward it bounds the last step's gradient or none at all, after the step it changes nothing. Where it
        stood, the run was never clipped.

    When not to:
        Where the clip was without effect and the run is sound, it may be removed as well.

    Source:
        PyTorch documentation, ``clip_grad_norm_``; own measurement on a recurrence that diverged under such a clip.
    """

    kinds: ClassVar = (
        EventKind.CLIP_BEFORE_BACKWARD,
        EventKind.CLIP_AFTER_STEP,
    )
    messages: ClassVar[Mapping[str, str]] = {
        "why": "acts only between `backward()` and `step()`",
    }


REMEDY = ClipBeforeStep()
