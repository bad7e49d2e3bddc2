"""Faults that lie in the network as it was built, by what repairs them."""

from __future__ import annotations

from typing import Final

from evengrad.core.finding import CauseKind, Finding
from evengrad.remedies._base import faults

STRUCTURAL_RULES: Final = (
    "vanishing-gradient exploding-gradient bad-initialisation saturated-activation constant-output no-gradient "
    "non-finite"
)

WEIGHT_SCALE: Final = faults(STRUCTURAL_RULES, CauseKind.WEIGHT_SCALE_SMALL, CauseKind.WEIGHT_SCALE_LARGE)
DERIVATIVE: Final = faults(STRUCTURAL_RULES, CauseKind.ACTIVATION_DERIVATIVE)
DEPTH: Final = faults(STRUCTURAL_RULES, CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM)
IN_TIME: Final = faults(f"{STRUCTURAL_RULES} gradient-spike", CauseKind.RECURRENT_JACOBIAN)
GROWTH_IN_TIME: Final = faults("exploding-gradient gradient-spike non-finite", CauseKind.RECURRENT_JACOBIAN)
SPIKES: Final = faults("gradient-spike", CauseKind.DATA, CauseKind.TARGET_SCALE, CauseKind.LEARNING_RATE_HIGH, None)
DEAD_FROM_BIRTH: Final = faults("dead-units vanishing-gradient no-gradient constant-output", CauseKind.DEAD_UNITS)


def by_weights(finding: Finding | None) -> bool:
    """Return whether weights of a wrong size are the cause, or nothing is known of it."""
    scales = (CauseKind.WEIGHT_SCALE_SMALL, CauseKind.WEIGHT_SCALE_LARGE)
    return finding is None or (finding.cause is not None and finding.cause.kind in scales)
