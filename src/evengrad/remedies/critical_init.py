"""Initialisation at the edge of chaos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.errors import UsageError
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import main_activation, rounded
from evengrad.remedies._init import can_draw, scale_repairs, stuck_parameters, suits, targets
from evengrad.remedies._structure import DERIVATIVE, WEIGHT_SCALE
from evengrad.rules._words import number

if TYPE_CHECKING:
    from evengrad.theory.criticality import EdgeOfChaos

_ALIASES = {"threshold": "relu", "clampmin": "relu", "prelukernel": "prelu", "rreluwithnoise": "rrelu"}


@dataclass(frozen=True)
class CriticalInit(AbstractRemedy):
    """Draw weights and biases with the variances at which theory says that this activation keeps signal and gradient.

    What it changes:
        The weights of linear layers and convolutions before the first step, and their biases, which may get a
        variance.

    Why it helps:
        At sigma_w^2 = 1 / E phi'(z)^2 and sigma_b^2 = q - sigma_w^2 E phi(z)^2, z ~ N(0, q), the mean squared
        gradient is the same in every layer and the size of the signal returns to q. It is what He is to ReLU, for any
        activation that has such a point.

    When not to:
        Sigmoid, hardsigmoid and softplus have no useful critical point: their mean alone is larger than the signal.
        In front of normalisation layers, and for widths below a few dozen, theory's averages do not hold.

    Settings:
        q: variance of the pre-activation to be kept, h^2. Own choice: 1, what standardised data bring.

    Source:
        Poole et al., NeurIPS 2016; Schoenholz et al., ICLR 2017, section 3; theory page, criticality.
    """

    q: float = 1.0

    act: ClassVar[Act] = Act.INITIALISE
    risk: ClassVar[Risk] = Risk.INITIALISATION
    cures: ClassVar = WEIGHT_SCALE
    eases: ClassVar = DERIVATIVE
    place: ClassVar[int] = 14
    messages: ClassVar[Mapping[str, str]] = {
        "why": "keeps signal and gradient through {activation} layers: weights of standard deviation "
        "{gain}/sqrt(fan_in), biases of {bias}",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one drawing of the layers; none where He or Xavier say the same, or no critical point exists."""
        if not can_draw(trace) or stuck_parameters(trace, finding) or not scale_repairs(trace, finding):
            return ()
        if finding is not None and suits(trace) != "lsuv-init":
            return ()
        edge = self._edge(trace)
        if edge is None:
            return ()
        gain, bias = rounded(math.sqrt(edge.weight_variance), 4), rounded(math.sqrt(edge.bias_variance), 3)
        return (self.change(modules=targets(trace, finding), method="critical", gain=gain, bias=bias),)

    def _edge(self, trace: Trace) -> EdgeOfChaos | None:
        """Return the critical point of the activation used most, if it has one."""
        # Theory loads scipy, which a report should not wait for.
        from evengrad.theory.criticality import edge_of_chaos
        from evengrad.theory.lookup import as_activation

        name = main_activation(trace)
        try:
            edge = edge_of_chaos(as_activation(_ALIASES.get(name, name or "identity")), self.q)
        except UsageError:  # an activation that theory does not know
            return None
        return edge if edge.feasible else None

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with both standard deviations."""
        shown = {"gain": number(change.number("gain")), "bias": number(change.number("bias"))}
        return self.say("why", activation=main_activation(trace) or "linear", **shown)


REMEDY = CriticalInit()
