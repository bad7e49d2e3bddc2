"""What the activation swaps share: which sites they change, and for which causes."""

from __future__ import annotations

from typing import Final

from evengrad.core.finding import CauseKind, Finding
from evengrad.core.trace import Trace
from evengrad.remedies._base import faults
from evengrad.remedies._facts import SATURATING, SHARP, SQUASHING, guilty_activation, hidden_activations, plain
from evengrad.remedies._structure import DERIVATIVE

DIED_IN_TRAINING: Final = faults("dead-units", CauseKind.LEARNING_RATE_HIGH)
"""Units that were alive and died: a slope below zero keeps them alive the next time."""

SQUASHED: Final = DERIVATIVE
"""An activation whose derivative eats the gradient."""


def squashed_sites(trace: Trace, finding: Finding | None) -> tuple[str, ...]:
    """Return the hidden sites whose activation is to be replaced because its derivative is small everywhere.

    Tanh and its like have slope 1 at the origin: where they eat the gradient they are saturated, and smaller weights
    free them; a swap at the same weights exploded. They are replaced only when nothing is known of the cause, or when
    the finding is on saturation itself.
    """
    if finding is None:
        return tuple(site.name for site in hidden_activations(trace))
    guilty = plain(guilty_activation(finding, trace))
    if guilty in SQUASHING:
        return tuple(site.name for site in hidden_activations(trace, SQUASHING))
    saturates = finding.rule == "saturated-activation" and finding.cause is not None
    if saturates and finding.cause is not None and finding.cause.kind is CauseKind.ACTIVATION_DERIVATIVE:
        return tuple(site.name for site in hidden_activations(trace, SATURATING | SQUASHING))
    return ()


def rectified_sites(trace: Trace) -> tuple[str, ...]:
    """Return the hidden sites of rectifiers that can die."""
    return tuple(site.name for site in hidden_activations(trace, SHARP))
