"""A GradScaler that never finds a scale at which gradients are finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._non_finite import skipped_steps
from evengrad.rules._words import number


@dataclass(frozen=True)
class LossScaleCollapse(AbstractRule):
    """A GradScaler halves its scale again and again: below 1, or without end.

    What it measures:
        The loss scale over the run, which steps were skipped, and whether the skipping has stopped.

    Why it hurts:
        A skipped step trains nothing. Gradients that stay infinite at a scale below 1 do not come from the scale:
        something overflows or is NaN by itself, and every further step is skipped as well.

    When it misleads:
        A scaler starts too high on purpose: from 65536 it may skip a dozen steps and then train for ever, and it skips
        one now and then when it tries a higher scale. That is calibration, and silent. A scale that rests anywhere
        between 1 and its cap is fine.

    Thresholds:
        lowest: scale, "1", below which halving makes gradients smaller than they are by themselves (the definition of
            a loss scale: it multiplies).
        streak: skipped steps in a row at the end of the run. From PyTorch's 65536, 16 halvings reach 1; fewer may still
            be calibration, ten in a row leave a tenth of a per cent of the scale. Own choice.
        share: share of all steps, "1", that are skipped after the scaler has once found a scale. Own choice.

    Source:
        Micikevicius et al., ICLR 2018, section 3.2 (dynamic loss scaling); PyTorch, ``torch.amp.GradScaler`` (factor
        0.5).
    """

    lowest: float = 1.0
    streak: int = 10
    share: float = 0.25

    messages: ClassVar[Mapping[str, str]] = {
        "collapse": "The loss scale fell from {first} to {last}: {skipped} of {steps} steps were skipped, and the "
        "last {streak} in a row.",
        "keeps-skipping": "{skipped} of {steps} steps were skipped because of infinite gradients, to the end; the "
        "loss scale is {last}.",
        "cause-forward": "the forward pass is not finite by itself; no loss scale can help",
        "cause-backward": "the loss is finite and nothing works in half precision: some derivative is not finite by"
        " itself",
        "cause-range": "gradients leave the range of the half-precision format at every scale",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding when the scaler does not settle."""
        scales = trace.get(Statistic.LOSS_SCALE).finite
        skipped = skipped_steps(trace)
        if not len(scales) or not skipped:
            return ()
        first, last = scales.first(), scales.last()
        steps = max(trace.steps, skipped[-1] + 1)
        streak = _streak(skipped, steps)
        collapsed = first > last and last < self.lowest and streak >= 2
        if not collapsed and streak < self.streak and not self._recurs(trace, skipped):
            return ()
        text, key, values = self.say(
            "collapse" if streak >= 2 else "keeps-skipping",
            first=number(first), last=number(last), skipped=str(len(skipped)), steps=str(steps),
            streak=str(streak),
        )  # fmt: skip
        return (
            Finding(
                rule=self.id,
                severity=Severity.ERROR if collapsed or streak >= self.streak else Severity.WARNING,
                message=text,
                first_step=skipped[0],
                last_step=skipped[-1],
                evidence=(
                    Evidence("loss scale", last, self.lowest, "1"),
                    Evidence("steps skipped in a row at the end", float(streak), float(self.streak), "steps"),
                    Evidence("steps skipped", len(skipped) / steps, self.share, "1"),
                ),
                cause=self._cause(trace),
                message_key=key,
                values=values,
            ),
        )

    def _recurs(self, trace: Trace, skipped: tuple[int, ...]) -> bool:
        """Whether steps are skipped throughout, in the second half of the run as in the first."""
        half = trace.steps // 2
        late = sum(step >= half for step in skipped)
        return late >= self.streak and late > self.share * (trace.steps - half)

    def _cause(self, trace: Trace) -> Cause:
        """Tell what is broken at any scale, forward or backward, from gradients that overflow."""
        losses = trace.get(Statistic.LOSS)
        broken = ~np.isfinite(losses.values)
        if trace.events_of(EventKind.NON_FINITE_LOSS) or broken.any():
            return self.cause(CauseKind.LOSS_NUMERICS, 1.0, "cause-forward")
        if trace.get(Statistic.LOSS_SCALE).finite.last() < self.lowest and not _uses_half(trace):
            return self.cause(CauseKind.LOSS_NUMERICS, 1.0, "cause-backward")
        return self.cause(CauseKind.PRECISION, 1.0, "cause-range")


def _uses_half(trace: Trace) -> bool:
    """Return whether anything was seen to work in float16 or bfloat16, or to be converted."""
    formats = {info.dtype for info in trace.parameters} | {site.dtype for site in trace.layers}
    converted = any("copy" in entry.operation.lower() for ledger in trace.ledgers for entry in ledger)
    return converted or bool(formats & {"float16", "bfloat16"})


def _streak(skipped: tuple[int, ...], steps: int) -> int:
    """Return how many steps in a row, up to the last one of the run, were skipped."""
    missed, count = set(skipped), 0
    while steps - 1 - count in missed:
        count += 1
    return count


RULE = LossScaleCollapse()
