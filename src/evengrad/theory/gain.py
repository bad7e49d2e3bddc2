"""Gains by activation: what to multiply fan_in-scaled weights by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments


@dataclass(frozen=True)
class Gains:
    """Standard deviations of weights, in units of 1/sqrt(fan_in), that keep one thing each at unit-variance input.

    Attributes:
        forward: 1/sqrt(E phi^2) keeps the second moment of the signal.
        variance: 1/std(phi) keeps its variance, given centred weights (NF-nets).
        backward: 1/sqrt(E phi'^2) keeps the gradient.
        torch: What ``torch.nn.init.calculate_gain`` says; ``None`` where it knows nothing.
    """

    forward: float
    variance: float
    backward: float
    torch: float | None


def gains(activation: Activation, q: float = 1.0) -> Gains:
    """Return the gains of an activation.

    Args:
        activation: The activation.
        q: Variance of the pre-activation.

    Source:
        He et al., ICCV 2015 (forward, there for ReLU); Brock, De and Smith, ICLR 2021 (variance, gamma of NF-nets).
    """
    m = moments(activation, q)
    return Gains(_inverse(m.square), _inverse(m.variance), _inverse(m.slope_square), torch_gain(activation))


def torch_gain(activation: Activation) -> float | None:
    """Return ``torch.nn.init.calculate_gain`` of an activation, or ``None`` for the many that it does not know.

    Source:
        PyTorch 2, ``torch.nn.init.calculate_gain``.
    """
    match activation.name, dict(activation.parameters):
        case (("identity" | "sigmoid"), _):
            return 1.0
        case "tanh", _:
            return 5 / 3
        case "selu", _:
            return 3 / 4
        case "relu", _:
            return math.sqrt(2)
        case "leaky_relu", {"negative_slope": float() as slope}:
            return math.sqrt(2 / (1 + slope**2))
        case _:
            return None


def _inverse(square: float) -> float:
    return 1 / math.sqrt(square) if square > 0 else math.inf
