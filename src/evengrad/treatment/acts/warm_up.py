"""Raise the learning rate linearly over the first steps."""

from __future__ import annotations

from dataclasses import dataclass

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._steps import during_step, multiplied
from evengrad.treatment.live import LiveRun, Undo


@dataclass(frozen=True)
class WarmUp(AbstractAct):
    """Multiplies the rate by min(1, (t + 1) / steps) during step t = 0, 1, ... from now on."""

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Multiply the rate during each step; schedulers see it as it was."""
        optimizer = run.required_optimizer("warm-up")
        steps = change.number("steps")
        if not steps >= 1:
            raise TreatmentError(f"expected at least one step of warm-up, got {steps:g}")
        taken = 0

        def count(*_: object) -> None:
            nonlocal taken
            taken += 1

        undo.add(optimizer.register_step_post_hook(count).remove)
        during_step(optimizer, undo, lambda group, rate: multiplied(rate, min(1.0, (taken + 1) / steps)))


ACT = WarmUp()
