"""Residual nets without normalisation that start as the identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from evengrad.treatment.initialisation.layers import Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Distribution, Recipe, Request
from evengrad.treatment.initialisation.methods.critical import METHOD as CRITICAL
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood


@dataclass(frozen=True)
class Fixup(AbstractMethod):
    """The last layer of each of L branches and the head are 0; the branch's m - 1 others are scaled by L^(-1/(2m-2)).

    The scalar biases and multipliers of the paper are parameters of the architecture, which an initialisation does not
    add. With a zero last layer every block starts as the identity, as in SkipInit and ReZero.

    Source:
        Zhang, Dauphin and Ma, ICLR 2019, section 3.
    """

    source: ClassVar[str] = "Zhang et al. 2019"
    needs_batch: ClassVar[bool] = True

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return zero for heads and ends of branches, and scaled critical draws for the rest of a branch."""
        if around.is_head:
            return Recipe(Distribution.ZERO, 0.0, layer.fan_in, why="output head: 0")
        branch = around.branch
        if branch is None:
            return CRITICAL.recipe(layer, around, request)
        if branch.ends and branch.depth > 1:
            return Recipe(Distribution.ZERO, 0.0, layer.fan_in, why="ends a residual branch: 0")
        drawn = CRITICAL.recipe(layer, replace(around, branch=None), request)
        if branch.depth < 2:
            return drawn
        factor = branch.count ** (-1 / (2 * branch.depth - 2))
        why = f"{drawn.why}; in 1 of {branch.count} branches of {branch.depth} layers: x {factor:.3g}"
        return replace(drawn, gain=drawn.gain * factor, bias_std=0.0, why=why)


METHOD = Fixup()
