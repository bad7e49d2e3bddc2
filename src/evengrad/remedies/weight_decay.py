"""Decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, Finding
from evengrad.core.info import OptimizerInfo
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy
from evengrad.remedies._facts import group_number, optimizer, optimizer_lines
from evengrad.remedies._growth import GROWN, grown
from evengrad.rules._words import number


@dataclass(frozen=True)
class WeightDecay(AbstractRemedy):
    """Shrink the weights a little at every step, beside the gradient's step.

    What it changes:
        W <- (1 - lr * c) W at every step. SGD has it as ``weight_decay`` (where it equals L2); Adam becomes AdamW.

    Why it helps:
        Weights that grow step by step are held at the size where growth and decay balance. In front of a
        normalisation, it keeps the effective learning rate from running out.

    When not to:
        Against vanishing: smaller weights make it vanish faster. Against weights that are too large from the start.
        On biases and norms it does no good.

    Settings:
        adaptive: coefficient for AdamW, "1". Loshchilov and Hutter 2019; torch's default: .01.
        linear: coefficient for SGD, "1". Usual in image classification: 5e-4.
        growth: factor by which a weight tensor has to have grown, "1". Own choice: 2.

    Source:
        Loshchilov and Hutter, ICLR 2019, equation 9; Zhang et al., ICLR 2019 (three mechanisms).
    """

    adaptive: float = 1e-2
    linear: float = 5e-4
    growth: float = 2.0

    act: ClassVar[Act] = Act.OPTIMIZE
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = GROWN
    place: ClassVar[int] = 38
    messages: ClassVar[Mapping[str, str]] = {
        "why": "weights grew {times} times over the run: a decay of {coefficient} bounds them",
        "why-plain": "a decay of {coefficient} bounds the weights",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one decay, for weights that have grown under an optimizer that has less of it."""
        info = optimizer(trace, finding)
        if info is None or (finding is not None and grown(trace) < self.growth):
            return ()
        wanted = self.adaptive if info.family == "adaptive" else self.linear
        if group_number(info, "weight_decay") >= wanted:
            return ()
        lines = optimizer_lines(info)
        if _couples(info):
            return (self.change(lines=lines, optimizer="AdamW", weight_decay=wanted),)
        return (self.change(lines=lines, weight_decay=wanted),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the growth of the weights."""
        coefficient, times = number(change.number("weight_decay")), grown(trace)
        if times < self.growth:
            return self.say("why-plain", coefficient=coefficient)
        return self.say("why", times=number(times), coefficient=coefficient)


def _couples(info: OptimizerInfo) -> bool:
    """Return whether an optimizer divides its own weight decay by the gradient's size."""
    return info.kind == "Adam"


REMEDY = WeightDecay()
