"""Shortcuts past each block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, fault
from evengrad.remedies._facts import depth, has_skips, key_of, rounded
from evengrad.remedies._structure import DEPTH, DERIVATIVE, WEIGHT_SCALE
from evengrad.rules._words import number


@dataclass(frozen=True)
class Residual(AbstractRemedy):
    """Add the input of each block to a small share of its output.

    What it changes:
        x = f(x) becomes x = x + a f(x) for every layer whose input and output have the same size.

    Why it helps:
        The gradient has a way round each block, on which nothing multiplies it: it arrives at the first layer as it
        left the last. With a = 1/sqrt(L), the L blocks together add as much as the input brings, whatever the depth.

    When not to:
        In a net that has shortcuts already: there their branches are too large. In shallow nets, and in blocks that
        change the size. It changes what is computed; where weights or activation are at fault, those are smaller
        changes.

    Settings:
        shallow: layers, "1", below which it is not proposed. Own choice: 8.

    Source:
        He et al., CVPR 2016; Bachlechner et al., UAI 2021 (ReZero); De and Smith, NeurIPS 2020 (1/sqrt(L)). Own
        measurement: with a = 0 at the start it repaired five of eight sick nets, sigmoid among them.
    """

    shallow: int = 8

    act: ClassVar[Act] = Act.SKIP
    risk: ClassVar[Risk] = Risk.ARCHITECTURE
    cures: ClassVar = DEPTH
    eases: ClassVar = WEIGHT_SCALE | DERIVATIVE
    place: ClassVar[int] = 10
    messages: ClassVar[Mapping[str, str]] = {
        "why": "gives the gradient a way round each of {layers} layers; at a share of {scale} they add up to order 1",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the shortcuts; none in shallow nets, or where there are some."""
        layers = depth(trace)
        known = finding is not None and fault(finding)[1] is not CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM
        if (
            key_of(finding) == "cause-decay"
            or layers < self.shallow
            or has_skips(trace)
            or (known and not trace.activations)
        ):
            return ()
        return (self.change(scale=rounded(1 / math.sqrt(layers))),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the number of layers."""
        return self.say("why", layers=str(depth(trace)), scale=number(change.number("scale")))


REMEDY = Residual()
