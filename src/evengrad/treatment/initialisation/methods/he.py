"""Normal weights that make up for what a rectifier takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import (
    AbstractMethod,
    Distribution,
    Recipe,
    Request,
    negative_slope,
)
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side


@dataclass(frozen=True)
class He(AbstractMethod):
    """Var W = 2 / ((1 + a^2) fan_in) for rectifiers of negative slope a; 1 / fan_in where no activation follows.

    Does not repair sigmoid, whose derivative is below 1/4 and whose mean is not 0.

    Source:
        He et al., ICCV 2015, equations 10 and 15.
    """

    source: ClassVar[str] = "He et al. 2015"

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the normal draw with the gain of the rectifier that follows."""
        slope = negative_slope(around.feeds)
        if request.gain is not None:
            gain, why = request.gain, "gain as given"
        elif around.is_head or around.after in (Side.ATTENTION, Side.LAYER, Side.PRODUCT):
            gain, why = 1.0, "output head: gain 1" if around.is_head else "no activation follows: gain 1"
        elif slope is not None:
            gain, why = math.sqrt(2 / (1 + slope**2)), f"for {around.feeds.label if around.feeds else ''}"
        else:
            follows = around.feeds.name if around.feeds is not None else around.after.value
            gain, why = math.sqrt(2), f"made for rectifiers; {follows} follows"
        return Recipe(Distribution.NORMAL, gain, layer.fan_in, why=why)


METHOD = He()
