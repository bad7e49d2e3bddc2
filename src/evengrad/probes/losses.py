"""What the loss compares: prediction, target, number of classes, batch size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractNodeProbe, NodeView, Reading
from evengrad.probes._sizes import number, thinned


class Losses(AbstractNodeProbe):
    """Reads the operands that torch's own loss functions save for their backward pass."""

    regression: ClassVar[tuple[str, ...]] = ("MseLoss", "SmoothL1Loss", "HuberLoss", "L1Loss")
    binary: ClassVar[tuple[str, ...]] = ("BinaryCrossEntropy", "BinaryCrossEntropyWithLogits")
    classification: ClassVar[tuple[str, ...]] = ("NllLoss", "NllLoss2D")

    def read(self, view: NodeView) -> Iterator[Reading]:
        """Yield sizes of target and prediction, CLASSES and BATCH_SIZE at a loss operation."""
        if view.operation in self.regression:
            yield from _spread(view.saved("target"), Statistic.TARGET_RMS, Statistic.TARGET_SPREAD, relative=False)
            yield from _spread(view.saved("self"), Statistic.OUTPUT_RMS, Statistic.OUTPUT_SPREAD, relative=True)
            yield from _batch(view.saved("target"))
        elif view.operation in self.binary:
            yield Reading(Statistic.CLASSES, "", 2.0)
            target = view.saved("target")
            if target is not None and target.numel() and target.is_floating_point():
                size = thinned(target).float().square().mean().sqrt()
                yield Reading(Statistic.BINARY_TARGET_RMS, "", number(size))
            yield from _spread(view.saved("self"), Statistic.OUTPUT_RMS, Statistic.OUTPUT_SPREAD, relative=True)
            yield from _batch(view.saved("target"))
        elif view.operation in self.classification:
            scores = view.saved("self")
            if scores is not None and scores.dim() >= 2:
                yield Reading(Statistic.CLASSES, "", float(scores.shape[1]))
                yield from _spread(scores, Statistic.OUTPUT_RMS, Statistic.OUTPUT_SPREAD, relative=True)
                yield from _batch(scores)


def _batch(tensor: Tensor | None) -> Iterator[Reading]:
    """Yield the size of the first dimension."""
    if tensor is not None and tensor.dim() > 0:
        yield Reading(Statistic.BATCH_SIZE, "", float(tensor.shape[0]))


def _spread(tensor: Tensor | None, size: Statistic, spread: Statistic, *, relative: bool) -> Iterator[Reading]:
    """Yield the rms of a tensor and its between-sample standard deviation (over its rms when ``relative``)."""
    if tensor is None or tensor.numel() == 0 or not tensor.is_floating_point():
        return
    kept = thinned(tensor).float()
    total = kept.square().mean().sqrt()
    yield Reading(size, "", number(total))
    if kept.dim() >= 1 and kept.shape[0] >= 2:
        deviation = kept.var(dim=0, correction=0).mean().sqrt()
        yield Reading(spread, "", number(deviation / total.clamp(min=1e-30) if relative else deviation))


PROBE = Losses()
