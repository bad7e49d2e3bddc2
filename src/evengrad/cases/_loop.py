"""The loop that most cases share, as most people write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

LossOfStep = Callable[[int], Tensor]


def fit(
    loss_of: LossOfStep,
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    max_norm: float | None = None,
    scheduler: LRScheduler | None = None,
) -> float:
    """Train for some steps and return the mean loss over the last tenth of them.

    Args:
        loss_of: Computes the loss of one step.
        optimizer: Holds the parameters.
        steps: How many optimizer steps.
        max_norm: Clips the gradient to this norm, in loss/W, when given.
        scheduler: Is stepped after each step, when given.

    Returns:
        The mean loss over the last tenth of the steps.
    """
    losses = []
    for step in range(steps):
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if max_norm is not None:
            nn.utils.clip_grad_norm_(parameters_of(optimizer), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return final(losses)


def parameters_of(optimizer: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    """Yield the parameters that an optimizer holds."""
    for group in optimizer.param_groups:
        yield from group["params"]


def final(losses: Sequence[float]) -> float:
    """Return the mean of the last tenth of the losses."""
    return fmean(losses[-max(1, len(losses) // 10) :])
