"""Weights that grow while the run goes on: what a penalty on their size is for."""

from __future__ import annotations

from typing import Final

from evengrad.core.finding import CauseKind
from evengrad.core.trace import Trace
from evengrad.remedies._base import faults
from evengrad.rules._weights import weight_growth

GROWN: Final = (
    faults("non-finite exploding-gradient gradient-spike", CauseKind.LEARNING_RATE_HIGH)
    | faults("saturated-activation", CauseKind.ACTIVATION_DERIVATIVE)
    | faults("exploding-gradient", CauseKind.RECURRENT_JACOBIAN)
)
"""Faults that weights may grow into; where they are wrong from the start, a penalty comes too late."""


def grown(trace: Trace, before: int | None = None) -> float:
    """Return by what factor a weight tensor has grown since its first measurement, at most; 1 where none has.

    Args:
        trace: The run.
        before: Only measurements before this step count.
    """
    decades, _ = weight_growth(trace, before)
    return float(10**decades)
