"""Add the gradient of an L2 penalty before each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._steps import before_step
from evengrad.treatment.live import LiveRun, Undo


@dataclass(frozen=True)
class Penalise(AbstractAct):
    """Adds ``coefficient * W`` to the gradient of every parameter of the optimizer: that of coefficient / 2 sum W^2.

    An adaptive optimizer divides it by the size of the gradient like the rest, as it does with a penalty in the loss;
    decoupled decay is the optimizer's ``weight_decay``.

    Source:
        Loshchilov and Hutter, ICLR 2019, section 2, for the difference.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Add the penalty's gradient before each step of the optimizer."""
        coefficient = change.number("coefficient")
        if not math.isfinite(coefficient):
            raise TreatmentError("expected a coefficient for the L2 penalty, got none")

        def add(parameters: list[Tensor], scale: float) -> None:
            with torch.no_grad():
                for parameter in parameters:
                    if parameter.grad is not None and not parameter.grad.is_sparse:
                        parameter.grad.add_(parameter, alpha=coefficient * scale)

        before_step(run.required_optimizer("an L2 penalty"), undo, add)


ACT = Penalise()
