"""Move the model's input into units of order one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._layers import hook
from evengrad.treatment.initialisation.tracing import tensors_in
from evengrad.treatment.live import LiveRun, Undo


@dataclass(frozen=True)
class Scale(AbstractAct):
    """Gives the model (x - mean) / std, in training and evaluation alike; ``per`` column, by the batch's own numbers.

    The first floating-point argument is taken for the data. Targets meet the model only in the loss, which is the
    loop's: they need the source changed.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Scale the input before each forward pass."""
        if change.word("what", "input") != "input":
            raise TreatmentError(
                "targets meet the loss in the loop itself: scale them in the source, evengrad fix does"
            )
        mean: float | Tensor = change.number("mean", 0.0)
        std: float | Tensor = change.number("std", 1.0)
        if change.word("per") == "column":
            mean, std = _columns(run)
        elif not change.number("std", 1.0) > 0:
            raise TreatmentError(f"expected a positive standard deviation, got {change.number('std'):g}")

        def scaled(value: object) -> object:
            return (value - mean) / std if isinstance(value, Tensor) else value

        def before(
            module: nn.Module, inputs: tuple[object, ...], named: dict[str, object]
        ) -> tuple[tuple[object, ...], dict[str, object]]:
            place = next((i for i, value in enumerate(inputs) if _is_data(value)), None)
            if place is not None:
                return (*inputs[:place], scaled(inputs[place]), *inputs[place + 1 :]), named
            name = next((name for name, value in named.items() if _is_data(value)), None)
            return inputs, named if name is None else {**named, name: scaled(named[name])}

        hook(undo, run.root.register_forward_pre_hook(before, with_kwargs=True))


def _columns(run: LiveRun) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column of the batch; a constant column is only shifted."""
    data = next((tensor for tensor in tensors_in(run.required_batch("scaling by column")) if _is_data(tensor)), None)
    if data is None:
        raise TreatmentError("expected floating-point data in the batch, to scale it by column")
    std = data.detach().std(0)
    return data.detach().mean(0), torch.where(std > 0, std, torch.ones_like(std))


def _is_data(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


ACT = Scale()
