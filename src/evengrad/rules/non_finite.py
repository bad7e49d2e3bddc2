"""A loss, gradient or weight that is NaN or infinite."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._course import Floats
from evengrad.rules._non_finite import Origin, Toll, origin, skipped_steps, toll
from evengrad.rules._weights import largest_updates, weight_growth
from evengrad.rules._words import lines, number, place

_RISKY = frozenset({
    "log", "log2", "log10", "log1p", "logit", "sqrt", "rsqrt", "div", "truediv", "reciprocal", "pow", "exp",
    "exp2", "expm1", "norm", "linalgvectornorm", "vectornorm", "acos", "asin", "acosh", "atanh", "erfinv",
    "tan", "cdist", "std", "var", "mean", "binarycrossentropy", "bceloss", "kldiv", "ctcloss",
    "cosinesimilarity", "layernorm", "nativelayernorm", "batchnorm", "nativebatchnorm", "inverse", "linalginv",
    "linalgeigh", "linalgsvd", "cholesky", "linalgcholesky", "remainder", "fmod", "lgamma", "digamma", "xlogy",
    "scaleddotproductattention", "where", "maskedfill",
})  # fmt: skip
"""Operations that make a NaN or an infinity of ordinary values: poles, roots, overflow of exp, 0/0 of an empty mean."""


@dataclass(frozen=True)
class NonFinite(AbstractRule):
    """A loss, gradient or weight is NaN or infinite.

    What it measures:
        The first operation of the run that turned finite operands into a NaN or an infinity: forward, backward or in
        the optimizer; how many losses and gradients were not finite; and whether the weights were lost.

    Why it hurts:
        A NaN gradient that reaches an optimizer step makes every weight it touches NaN, for good. Where the NaN is seen
        (the loss) is rarely where it was made.

    When it misleads:
        A GradScaler makes infinite gradients on purpose while it looks for its scale, and skips those steps: that is
        not reported. A loss that is NaN for one batch while the weights stay finite (all targets ignored, a step that
        the script skips) is information only, unless it happens often. NaN that follows from growth is not a fault of
        the operation that overflowed: growth of the weights, the updates or the loss before it makes the learning rate
        the cause, and an exploding gradient takes the finding over as its consequence.

    Thresholds:
        frequent: share of steps, "1", above which survived non-finite losses are a warning. Skipping more than 1 % of
            the steps is no rarity any more (remedy table of the theory page, skip-step).
        growth: decades by which weights have grown before, from which on the learning rate is the cause. Healthy
            trainings stay below 0.5 decades; own choice.
        update: relative update, "1", of a weight tensor in one step (theory page, criteria: first step above 0.3).
        outlier: loss of one batch over the largest of the ``steady`` steps before it, "1". Own choice: a thousand times
            what a spike in a run that trained was seen to reach (a ratio of 9.7).
        steady: steps. Own choice.
        loss_rise: factor by which the loss had risen over its lowest value; ten times is beyond any spike that trained.
        far: factor by which the loss had risen over the first one; no logarithm of a small number gets there. Own
            choice.
        forward_growth: decades by which the signal grows from the first to the last layer (theory page: 6 decades of
            mean square, 3 of rms).
        attenuation: decades of gradient across depth above which it explodes (theory page: severe above +3).
        input_rms: size of the data, "x" (theory page: outside [0.1, 10]).

    Source:
        PyTorch issues 160016 and 182156 (name the first producer); Kumar et al. 2025 and Pascanu et al., ICML 2013 for
        growth before the overflow.
    """

    frequent: float = 0.01
    growth: float = 1.0
    update: float = 0.3
    loss_rise: float = 10.0
    outlier: float = 1e4
    steady: int = 10
    far: float = 1000.0
    forward_growth: float = 3.0
    attenuation: float = 3.0
    input_rms: float = 10.0

    messages: ClassVar[Mapping[str, str]] = {
        "forward": "At step {step} `{operation}` in `{place}` turned finite inputs{inputs} into NaN or Inf.",
        "forward-script": "At step {step} `{operation}`, called outside of any module, turned finite inputs{inputs}"
        " into NaN or Inf.",
        "backward": "At step {step} the derivative of `{operation}` in `{place}` turned a finite gradient into NaN "
        "or Inf.",
        "backward-script": "At step {step} the derivative of `{operation}`, called outside of any module, turned a "
        "finite gradient into NaN or Inf.",
        "update": "The update of step {step} put NaN or Inf into `{place}`, after a finite loss.",
        "data": "The batch of step {step} already contains NaN or Inf, where `{place}` reads it.",
        "unlocated": "From step {step} on the training is not finite; the operation that began it was not seen.",
        "survived": "In {count} of {steps} steps the loss was not finite, first at step {step}; the weights stayed "
        "finite.",
        "survived-gradient": "In {count} of {steps} steps gradients were not finite, first at step {step}; the "
        "weights stayed finite.",
        "cause-data": "the values come with the data",
        "cause-batch": "at step {step} the loss of a single batch was {jump} times that of the batches before it, at "
        "an unchanged learning rate: no update of a steady run does that, an outlier in the data does",
        "cause-learning-rate": "before that the training had left its course: weights {growth} times as large as at"
        " the start, updates of up to {update} of a weight, loss {rise} times its lowest",
        "cause-weights": "the signal grows by {decades} decades from the first to the last layer before any update",
        "cause-recurrent": "the gradient grows through {uses} time steps",
        "cause-input": "the data are of size {rms}, and overflow before any update",
        "cause-precision": "the values leave the range of {dtype}; no growth of weights or loss came before",
        "cause-epsilon": "epsilon {eps} is 0 in {dtype}, so the optimizer divides by 0",
        "cause-backward": "the loss was finite and nothing had grown: some derivative is infinite or undefined (a "
        "root, norm or division at 0)",
        "cause-loss": "the loss of that batch is undefined, as without a valid target (0/0); nothing had grown before",
        "cause-numerics": "`{operation}` is not defined, or has an infinite derivative, at the value it was given; "
        "no growth of weights or loss came before",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on the first non-finite value, unless a GradScaler dealt with it by design."""
        seen = toll(trace)
        if seen is None or self._by_design(trace, seen):
            return ()
        where = origin(trace, seen.first_step)
        severity = Severity.ERROR
        if seen.survived:
            often = seen.losses >= 2 and seen.losses > self.frequent * trace.steps
            severity = Severity.WARNING if often else Severity.INFO
        text, key, values = self._message(trace, seen, where)
        return (
            Finding(
                rule=self.id,
                severity=severity,
                message=text,
                first_step=min(where.step, seen.first_step),
                last_step=seen.last_step,
                modules=(where.module,) if where.module else (),
                parameters=where.parameters,
                source=lines(where.source),
                evidence=self._evidence(trace, seen, where.parameters),
                cause=self._cause(trace, where),
                message_key=key,
                values=values,
            ),
        )

    def _by_design(self, trace: Trace, seen: Toll) -> bool:
        """Whether a GradScaler skipped what was not finite and the losses are finite, or became so again."""
        if not seen.survived or not skipped_steps(trace):
            return False
        return seen.scaled or seen.gradients == 0

    def _message(self, trace: Trace, seen: Toll, where: Origin) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        step, inside = str(where.step), place(trace, where.module)
        if seen.survived and where.phase in ("", "forward", "backward"):
            count, key = (seen.losses, "survived") if seen.losses else (seen.gradients, "survived-gradient")
            return self.say(key, count=str(count), steps=str(trace.steps), step=str(seen.first_step))
        if where.phase == "data":
            return self.say("data", step=step, place=inside)
        if where.phase == "update":
            return self.say("update", step=step, place=where.parameters[0] if where.parameters else inside)
        if where.phase not in ("forward", "backward") or not where.operation:
            return self.say("unlocated", step=step)
        shown = {"step": step, "operation": where.operation}
        if where.phase == "forward":
            shown["inputs"] = f" {where.inputs}" if where.inputs else ""
        if where.inside:
            return self.say(where.phase, place=inside, **shown)
        return self.say(f"{where.phase}-script", **shown)

    def _evidence(self, trace: Trace, seen: Toll, lost: tuple[str, ...]) -> tuple[Evidence, ...]:
        allowed = self.frequent * trace.steps if seen.survived else 0.0
        found = [Evidence("losses that are not finite", float(seen.losses), allowed, "steps")]
        if seen.gradients:
            found.append(Evidence("gradients that are not finite", float(seen.gradients), 0.0, "steps"))
        if seen.weights_lost:
            found.append(Evidence("weight tensors that are not finite", float(max(1, len(lost))), 0.0, "tensors"))
        return tuple(found)

    def _cause(self, trace: Trace, where: Origin) -> Cause | None:
        """Name the cause: what was wrong before comes first, then the operation itself."""
        if where.phase == "data":
            return self.cause(CauseKind.DATA, 1.0, "cause-data")
        return (
            self._epsilon(trace, where)
            or self._before_any_update(trace, where)
            or self._growth(trace, where)
            or self._operation(where)
            or self._likely(trace, where)
            or self._unseen(trace, where)
        )

    def _epsilon(self, trace: Trace, where: Origin) -> Cause | None:
        """An adaptive optimizer that works in float16 rounds its epsilon to 0, and divides 0 by 0."""
        optimizer = next((o for name in where.parameters if (o := trace.optimizer_of(name))), None)
        optimizer = optimizer or (trace.optimizers[0] if len(trace.optimizers) == 1 else None)
        if where.phase != "update" or where.dtype != "float16" or optimizer is None or optimizer.family != "adaptive":
            return None
        eps = min((group["eps"] for group in optimizer.groups if "eps" in group), default=0.0)
        smallest = 2.0**-25  # rounds to 0 in float16
        if eps > smallest:
            return None
        return self.cause(CauseKind.OPTIMIZER_EPSILON, 1.0, "cause-epsilon", eps=number(eps), dtype=where.dtype)

    def _before_any_update(self, trace: Trace, where: Origin) -> Cause | None:
        """The signal or the gradient was already out of bounds at the initialisation."""
        sizes = [trace.get(Statistic.INPUT_RMS, site.name).between(0, 0).finite.first() for site in trace.layers]
        known = [size for size in sizes if size > 0]
        if known and known[0] > self.input_rms and where.step <= 1:
            return self.cause(CauseKind.INPUT_SCALE, 1.0, "cause-input", rms=number(known[0]))
        start = next((ledger for ledger in trace.ledgers if ledger.step == 0), None)
        if start is not None and start.attenuation > self.attenuation:
            if start.steps_in_time > 1:
                return self.cause(CauseKind.RECURRENT_JACOBIAN, 1.0, "cause-recurrent", uses=str(start.steps_in_time))
            return self.cause(CauseKind.WEIGHT_SCALE_LARGE, 1.0, "cause-weights", decades=number(start.attenuation))
        if len(known) > 1 and known[-1] > known[0] * 10**self.forward_growth:
            grown = math.log10(known[-1] / known[0])
            return self.cause(CauseKind.WEIGHT_SCALE_LARGE, 1.0, "cause-weights", decades=number(grown))
        return None

    def _growth(self, trace: Trace, where: Origin) -> Cause | None:
        """The weights, the updates or the loss had grown beyond measure before.

        The loss alone does not tell when the operation is one that can produce any value from a harmless input.

        Args:
            trace: The run.
            where: The first value that was not finite.

        Returns:
            The learning rate as cause, or None when nothing had grown.
        """
        if where.step == 0:
            return None
        outlier = self._outlier(trace, where)
        if outlier is not None:
            return outlier
        grown, _ = weight_growth(trace, where.step)
        recent = (u.ratio for u in largest_updates(trace) if where.step - 1 <= 2 * u.step < 2 * where.step)
        update = max(recent, default=0.0)
        losses = trace.get(Statistic.LOSS).finite.between(0, where.step - 1).values
        rise = (
            losses.max() / losses.min()
            if len(losses) and losses.min() > 0 and losses.argmax() > losses.argmin()
            else 1.0
        )
        risen = rise > self.loss_rise and not _risky(where.operation)
        if grown < self.growth and update < self.update and not risen:
            return None
        shown = {"growth": number(10**grown), "update": number(update), "rise": number(float(rise))}
        return self.cause(CauseKind.LEARNING_RATE_HIGH, 1.0, "cause-learning-rate", **shown)

    def _outlier(self, trace: Trace, where: Origin) -> Cause | None:
        """One batch threw the run off its course: the loss jumped at once, out of steady training at a steady rate."""
        before = trace.get(Statistic.LOSS).finite.between(0, where.step - 1)
        sizes = np.abs(before.values)
        for i in range(self.steady, len(sizes)):
            level = float(sizes[i - self.steady : i].max())
            if not 0 < level < math.inf or sizes[i] < self.outlier * level:
                continue
            step = int(before.steps[i])
            rates = [trace.get(Statistic.LEARNING_RATE, name) for name in trace.subjects(Statistic.LEARNING_RATE)]
            if any(len(rate.between(max(1, step - 5), step)) for rate in rates):
                return None
            jump = number(float(sizes[i] / level))
            return self.cause(CauseKind.DATA, 1.0, "cause-batch", step=str(step), jump=jump)
        return None

    def _operation(self, where: Origin) -> Cause | None:
        """The operation itself, in the number format it worked in."""
        if _risky(where.operation) and not (where.dtype == "float16" and "exp" in where.operation.lower()):
            return self.cause(CauseKind.LOSS_NUMERICS, 1.0, "cause-numerics", operation=where.operation)
        if where.dtype == "float16":
            return self.cause(CauseKind.PRECISION, 1.0, "cause-precision", dtype=where.dtype)
        return None

    def _likely(self, trace: Trace, where: Origin) -> Cause | None:
        """An operation that is only where the value was first seen, behind a conversion of number formats."""
        converted = any("copy" in entry.operation.lower() for ledger in trace.ledgers for entry in ledger)
        if where.certainty == "likely" and converted and not _risky(where.operation):
            return self.cause(CauseKind.PRECISION, 0.5, "cause-precision", dtype=where.dtype or "float16")
        return None

    def _unseen(self, trace: Trace, where: Origin) -> Cause | None:
        """Nothing had grown, and what made the value was not seen: a pole, in the loss or in a derivative."""
        if where.phase == "update":
            return self.cause(CauseKind.LOSS_NUMERICS, 0.5, "cause-backward")
        if not np.isfinite(trace.get(Statistic.LOSS).between(where.step, where.step).values).all():
            return self.cause(CauseKind.LOSS_NUMERICS, 0.5, "cause-loss")
        return None


def _rise(losses: Floats, level: float) -> float:
    """Return the largest loss over a level that came before it; 1 where the level is not positive."""
    return (
        float(losses.max() / level) if level > 0 and losses.argmax() > int(np.argmin(np.abs(losses - level))) else 1.0
    )


def _risky(operation: str) -> bool:
    """Whether an operation can make a NaN or an infinity of ordinary values."""
    name = operation.rpartition("::")[2].rpartition(".")[2].lower().replace("_", "")
    return re.sub(r"backward\d*$", "", name) in _RISKY


RULE = NonFinite()
