"""What every method of initialisation is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from evengrad.theory.activation import Activation
from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


class Distribution(Enum):
    """What the entries of a weight are drawn from."""

    NORMAL = "normal"
    CENTRED = "normal, rows of sum 0"
    UNIFORM = "uniform"
    ORTHOGONAL = "orthogonal"
    DELTA = "delta-orthogonal"
    ZERO = "zero"


class Adjustment(Enum):
    """What is done with one batch after the draw."""

    NONE = "none"
    LAYER = "layer"  # unit variance of each layer's output
    UNIT = "unit"  # mean 0 and variance 1 of each unit


@dataclass(frozen=True)
class Recipe:
    """How to draw one weight.

    Attributes:
        distribution: What from.
        gain: Standard deviation in units of 1/sqrt(fan); factor of an orthogonal matrix.
        fan: What the variance is divided by.
        bias_std: Standard deviation of the bias.
        q: Variance of the layer's output that is aimed at.
        why: Reason, for the report.
    """

    distribution: Distribution
    gain: float
    fan: float
    bias_std: float = 0.0
    q: float = 1.0
    why: str = ""

    @property
    def std(self) -> float:
        """Standard deviation of an entry; of an orthogonal matrix, gain / sqrt(fan)."""
        return self.gain / math.sqrt(self.fan) if self.fan > 0 else 0.0


@dataclass(frozen=True)
class Request:
    """What a recipe may depend on beside the layer.

    Attributes:
        gain: The user's gain; ``None`` leaves it to the method.
        source_q: Variance of what the activation before the layer reads.
    """

    gain: float | None = None
    source_q: float = 1.0


class AbstractMethod(ABC):
    """A way to draw initial weights."""

    needs_batch: ClassVar[bool] = False
    only_recurrent: ClassVar[bool] = False
    adjustment: ClassVar[Adjustment] = Adjustment.NONE

    @abstractmethod
    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return how to draw one weight."""


def negative_slope(activation: Activation | None) -> float | None:
    """Return the slope of a rectifier below 0 (0 for ReLU), or ``None`` for any other activation."""
    if activation is None:
        return None
    if activation.name in ("relu", "relu6"):
        return 0.0
    slope = dict(activation.parameters).get({"leaky_relu": "negative_slope", "prelu": "init"}.get(activation.name, ""))
    return None if slope is None or isinstance(slope, str) else float(slope)
