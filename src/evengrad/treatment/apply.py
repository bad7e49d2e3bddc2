"""Carry a plan out on a live model and its optimizer, and take it back."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from evengrad.core.discover import catalogue
from evengrad.core.plan import Act, Plan
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.initialisation.tracing import Batch
from evengrad.treatment.live import LiveRun, Undo
from evengrad.treatment.snapshot import Snapshot


@dataclass(eq=False)
class Applied:
    """A plan that was carried out.

    Attributes:
        plan: The plan.
    """

    plan: Plan
    _undo: Undo = field(repr=False)
    _snapshot: Snapshot | None = field(repr=False)

    def revert(self) -> None:
        """Put model, optimizer and random states back to what they were before the plan, bit for bit.

        That includes whatever training has changed since. A second call does nothing.
        """
        self._undo.run()
        if self._snapshot is not None:
            self._snapshot.put_back()
            self._snapshot = None


def apply(plan: Plan, model: nn.Module, optimizer: Optimizer | None = None, *, batch: Batch | None = None) -> Applied:
    """Carry out a plan on a live model and its optimizer, before the next step.

    The changes act from now on: weights are drawn, modules and calls are exchanged, and hooks on the optimizer's step
    clip gradients or set rates. The training loop itself stays as it is. All or nothing: if one change cannot be
    carried out, those before it are taken back.

    Args:
        plan: What to change.
        model: The model.
        optimizer: What trains it.
        batch: What the model takes: a tensor, a tuple of arguments, a dict of keyword arguments, or a function of the
            model. Needed by changes that have to see the model work.

    Returns:
        The plan as it was carried out; its ``revert`` takes everything back.

    Raises:
        TreatmentError: A change cannot be carried out on a live run.

    Example:
        >>> from evengrad.core.plan import Act, Change, Plan, Risk
        >>> net = torch.nn.Linear(3, 3)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> plan = Plan((Change("lower-lr", Act.OPTIMIZE, Risk.OPTIMIZER, (("lr", 0.01),)),))
        >>> applied = apply(plan, net, optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.01
        >>> applied.revert()
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    run, undo = LiveRun(model, optimizer, batch), Undo()
    applied = Applied(plan, undo, Snapshot(run.root, optimizer))
    acts = _acts()
    try:
        for change in plan.changes:
            act = acts.get(change.act)
            if act is None:
                raise TreatmentError(f"{change.remedy} ({change.act.value}) needs the source changed: use evengrad fix")
            act.carry_out(change, run, undo)
    except BaseException:
        applied.revert()
        raise
    return applied


def _acts() -> dict[Act, AbstractAct]:
    modules = catalogue("evengrad.treatment.acts")
    return {Act(name): module.ACT for name, module in modules.items()}
