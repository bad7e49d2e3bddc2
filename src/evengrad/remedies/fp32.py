"""Single precision."""

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
class Fp32(AbstractRemedy):
    """Keep weights, or the operation at fault, in float32.

    What it changes:
        Conversions to half precision are removed; autocast and GradScaler are switched off with them.

    Why it helps:
        bfloat16 has eight bits: an update below a 256th of a weight is rounded away. float16 ends at 65504 and begins
        at 6e-8: squares overflow, small gradients become 0. float32 has neither limit within reach.

    When not to:
        Where memory decides: bfloat16 with float32 master weights keeps most of the gain. Where the value is
        undefined in any format (log 0, 0/0).

    Source:
        Micikevicius et al., ICLR 2018; theory page, number formats. Own measurement: Adam at 1e-4 with bfloat16
        weights realised 22 % of its updates, 100 % in float32.
    """

    act: ClassVar[Act] = Act.PRECISION
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults(
        "precision-loss non-finite loss-scale-collapse no-gradient vanishing-gradient", CauseKind.PRECISION
    )
    eases: ClassVar = faults("non-finite loss-scale-collapse", CauseKind.LOSS_NUMERICS) | faults(
        "non-finite precision-loss", CauseKind.OPTIMIZER_EPSILON
    )
    place: ClassVar[int] = 14
    messages: ClassVar[Mapping[str, str]] = {
        "why": "has the range and the digits that {format} lacks here",
        "why-plain": "has the range and the digits that half precision lacks, if the loss is computed in it",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return the change of format; none where nothing speaks for half precision."""
        halves = half_formats(trace)
        precise = finding is not None and finding.cause is not None and finding.cause.kind is CauseKind.PRECISION
        # An undefined loss from the very first step on is no empty batch; half precision leaves no trace in a loss that
        # was converted back.
        from_start = finding is not None and key_of(finding) == "cause-loss" and finding.first_step == 0
        written = finding is not None and any("half(" in line.text or "float16" in line.text for line in finding.source)
        if not (halves or precise or from_start or written):
            return ()
        return (self.change(dtype="float32"),)

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the format in use."""
        halves = sorted(half_formats(trace))
        return self.say("why", format=halves[0]) if halves else self.say("why-plain")


REMEDY = Fp32()
