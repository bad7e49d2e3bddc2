"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import attends, depth, has_norms, has_skips
from evengrad.remedies._init import can_draw, scale_repairs
from evengrad.remedies._structure import DEAD_FROM_BIRTH, WEIGHT_SCALE


@dataclass(frozen=True)
class BatchNorm(AbstractRemedy):
    """Normalise every unit's output over the batch, before its activation.

    What it changes:
        A normalisation with two learned parameters per unit is added behind each linear layer and convolution that an
        activation follows; evaluation uses running averages, so that `model.eval()` matters.

    Why it helps:
        Every unit puts out mean 0 and variance 1 over the batch, so that none is dead, saturated or idle, whatever
        weights, biases and data are.

    When not to:
        In deep plain stacks its gradient explodes by 1.47 per ReLU layer, and faster in batches of 8. With small or
        uneven batches, in recurrences, in attention. Against sigmoid, whose mean is at fault.

    Settings:
        deepest: layers without skips, "1", up to which it is proposed. Own choice: 20; 1.47**20 is 3.3 decades, where
            nets that trained end.
        smallest: samples in a batch, "1". Own choice: 16; the factor grows below that.

    Source:
        Ioffe and Szegedy, ICML 2015; Yang et al., ICLR 2019 (gradient explosion in depth); theory page,
        normalisation.
    """

    deepest: int = 20
    smallest: int = 16

    act: ClassVar[Act] = Act.NORMALISE
    risk: ClassVar[Risk] = Risk.ARCHITECTURE
    cures: ClassVar = frozenset()
    eases: ClassVar = WEIGHT_SCALE | DEAD_FROM_BIRTH
    place: ClassVar[int] = 20
    messages: ClassVar[Mapping[str, str]] = {
        "why": "every unit puts out mean 0 and variance 1 over the batch, whatever weights and biases are",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the normalisation of every layer that an activation follows; none where it would do harm."""
        if has_norms(trace) or not can_draw(trace) or not trace.activations or attends(trace):
            return ()
        batch = trace.get(Statistic.BATCH_SIZE).median()
        small = math.isfinite(batch) and batch < self.smallest
        if small or (depth(trace) > self.deepest and not has_skips(trace)) or not scale_repairs(trace, finding):
            return ()
        return (self.change(kind="batch"),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = BatchNorm()
