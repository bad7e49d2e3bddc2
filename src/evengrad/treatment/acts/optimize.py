"""Give the optimizer other numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._steps import during_step, multiplied
from evengrad.treatment.live import LiveRun, Undo

_RATES = ("lr", "lr_factor", "schedule")
_BETAS = {"beta1": 0, "beta2": 1}


@dataclass(frozen=True)
class Optimize(AbstractAct):
    """Sets numbers of every parameter group; groups are neither split nor made, so that schedulers and checkpoints fit.

    A rate that a scheduler governs is scaled during the step only, since some schedulers keep the rate that they began
    with and would set it again.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Set the numbers."""
        optimizer = run.required_optimizer(change.remedy)
        if change.word("optimizer"):
            raise TreatmentError(
                f"another class of optimizer ({change.word('optimizer')}) needs the source changed: use evengrad fix"
            )
        names = [name for name, _ in change.settings]
        for group in optimizer.param_groups:
            known = {*group, *_RATES, *(_BETAS if "betas" in group else ())}
            unknown = [name for name in names if name not in known]
            if unknown:
                raise TreatmentError(f"{type(optimizer).__name__} has no setting '{unknown[0]}'")
        for group in optimizer.param_groups:
            for name, value in change.settings:
                if name in _BETAS:
                    betas = list(group["betas"])
                    betas[_BETAS[name]] = value
                    group["betas"] = tuple(betas)
                elif name not in _RATES:
                    group[name] = value
        self._set_rates(change, run, undo)

    @staticmethod
    def _set_rates(change: Change, run: LiveRun, undo: Undo) -> None:
        optimizer = run.required_optimizer(change.remedy)
        rate, factor = change.number("lr"), change.number("lr_factor", 1.0)
        if change.word("schedule") == "constant":
            during_step(optimizer, undo, lambda group, now: group.get("initial_lr", now))
        scheduled = any("initial_lr" in group for group in optimizer.param_groups)
        if scheduled and (math.isfinite(rate) or factor != 1.0):

            def scaled(group: dict[str, object], now: object) -> object:
                first = group.get("initial_lr", now)
                assert isinstance(first, (int, float, Tensor)), "a learning rate is a number"
                return multiplied(now, factor * (rate / float(first) if math.isfinite(rate) else 1.0))

            during_step(optimizer, undo, scaled)
            return
        for group in optimizer.param_groups:
            wanted = (rate if math.isfinite(rate) else float(group["lr"])) * factor
            if wanted != float(group["lr"]):
                group["lr"] = group["lr"].new_tensor(wanted) if isinstance(group["lr"], Tensor) else wanted


ACT = Optimize()
