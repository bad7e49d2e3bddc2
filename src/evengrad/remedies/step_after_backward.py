"""The step behind backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.remedies._loop import AbstractLoopRepair


@dataclass(frozen=True)
class StepAfterBackward(AbstractLoopRepair):
    """Call backward before the step that uses its gradients.

    What it changes:
        A step that comes before backward is moved behind it.

    Why it helps:
        A step without fresh gradients repeats the last one, or does nothing.

    When not to:
        Optimizers that call a closure (LBFGS) compute the gradients inside the step.

    Source:
        PyTorch documentation, ``torch.optim``, "taking an optimization step".
    """

    kinds: ClassVar = (EventKind.STEP_WITHOUT_BACKWARD,)
    messages: ClassVar[Mapping[str, str]] = {
        "why": "a step needs the gradients of its own batch",
    }


REMEDY = StepAfterBackward()
