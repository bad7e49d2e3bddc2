"""bfloat16 in place of float16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import half_formats, key_of


@dataclass(frozen=True)
class Bf16(AbstractRemedy):
    """Compute in bfloat16, which has float32's range, in place of float16.

    What it changes:
        Conversions to float16 become conversions to bfloat16; GradScaler is switched off, which is not needed then.

    Why it helps:
        float16 ends at 65504 and begins at 6e-8; bfloat16 reaches from 1e-38 to 3e38, so that neither squares
        overflow nor gradients vanish.

    When not to:
        For the weights themselves: with eight bits, updates below a 256th of a weight are rounded away. On devices
        without it.

    Source:
        Kalamkar et al. 2019; theory page, number formats.
    """

    act: ClassVar[Act] = Act.PRECISION
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = frozenset()
    eases: ClassVar = faults(
        "precision-loss non-finite loss-scale-collapse no-gradient vanishing-gradient", CauseKind.PRECISION
    )
    place: ClassVar[int] = 30
    messages: ClassVar[Mapping[str, str]] = {
        "why": "has the range of float32, so that neither squares overflow nor gradients flush to zero",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the change of format, where float16 is in use and range, not digits, is lacking."""
        if key_of(finding) == "cause-rounding" or "float16" not in half_formats(trace):
            return ()
        if any(info.dtype == "float16" for info in trace.parameters):
            return ()  # weights in bfloat16 lose their updates
        return (self.change(dtype="bfloat16"),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason."""
        return self.say("why")


REMEDY = Bf16()
