"""The loop of the peers' comparison: 200 steps, with a static loss scale if asked."""

from __future__ import annotations

import torch
from torch import nn

from evengrad.cases._loop import LossOfStep, final

STEPS = 200


def fit_scaled(
    loss_of: LossOfStep,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    loss_scale: float = 1.0,
    max_norm: float | None = None,
) -> float:
    """Train 200 steps and return the mean loss over the last tenth of them.

    A loss scale multiplies the loss before backward and is divided out of the gradients before clipping and stepping,
    as static loss scaling by hand does; a power of two changes no bit of a float32 run.

    Args:
        loss_of: Computes the loss of one step.
        model: Has the gradients to be scaled back.
        optimizer: Holds the parameters.
        loss_scale: Factor on the loss during backward, "1".
        max_norm: Clips the gradient to this norm, in loss/W, when given.

    Returns:
        The mean loss over the last tenth of the steps.
    """
    losses = []
    for step in range(STEPS):
        loss = loss_of(step)
        optimizer.zero_grad()
        (loss * loss_scale).backward()  # type: ignore[no-untyped-call]
        if loss_scale != 1.0:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(loss_scale)
        if max_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        losses.append(loss.item())
    return final(losses)
