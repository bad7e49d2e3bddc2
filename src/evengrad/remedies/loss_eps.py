"""An epsilon where an operation leaves its domain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import Advice, CauseKind, Finding
from evengrad.core.plan import Act, Change, Risk
from evengrad.core.trace import Trace
from evengrad.remedies._base import AbstractRemedy, faults
from evengrad.remedies._facts import half_formats, plain
from evengrad.rules._words import number

# What an operation of autograd's is in source; those that only carry the damage on are looked for in the line's text.
_OPERATIONS: Final[Mapping[str, str]] = {
    "log": "log", "log2": "log", "log10": "log", "sqrt": "sqrt", "rsqrt": "sqrt", "div": "div", "reciprocal": "div",
    "acos": "acos", "asin": "asin", "atanh": "atanh", "exp": "exp", "std": "std", "norm": "norm",
    "linalgvectornorm": "norm",
}  # fmt: skip
_IN_TEXT: Final = ("rsqrt", "sqrt", "log10", "log2", "log", "acos", "asin", "atanh", "norm", "std", "exp", "pow")
_HALF: Final = re.compile(r"\bhalf\(|float16")


@dataclass(frozen=True)
class LossEps(AbstractRemedy):
    """Keep logarithm, root, division or exponential off the edge of its domain.

    What it changes:
        The argument of the operation that produced the first value that was not finite, by a small epsilon or a
        bound; log(softmax(x)) and log(sigmoid(x)) become the library's own, which need none.

    Why it helps:
        log 0 and 1/0 are infinite; the derivative of sqrt at 0 is infinite as well, and 0 times that is NaN in all
        weights at once. An argument that stays 1e-8 away costs nothing and has a finite derivative.

    When not to:
        Where training had left its course before: the learning rate, not the operation, is at fault. Where the data
        hold the NaN. Behind `torch.where` the bad branch still has its derivative: the argument has to be replaced,
        not the result.

    Settings:
        eps: distance from the edge, in the unit of the argument, in float32. Own choice: 1e-8, next to nothing for an
            argument of order 1.
        half_eps: the same in float16. Own choice: 1e-4, above its smallest normal number 6e-5.
        bound: largest argument of exp in float32. Own choice: 80, e^80 = 6e34; sums of a thousand such are finite.
        half_bound: the same in float16. Own choice: 8, e^8 = 3e3; sums of twenty such are below 65504.

    Source:
        PyTorch issues 2421, 6394 and 16317; PyTorch documentation, ``log_softmax``. Own measurement on five such
        cases.
    """

    eps: float = 1e-8
    half_eps: float = 1e-4
    bound: float = 80.0
    half_bound: float = 8.0

    act: ClassVar[Act] = Act.GUARD
    risk: ClassVar[Risk] = Risk.OPTIMIZER
    cures: ClassVar = faults("non-finite loss-scale-collapse", CauseKind.LOSS_NUMERICS)
    eases: ClassVar = faults("non-finite loss-scale-collapse", CauseKind.PRECISION)
    place: ClassVar[int] = 3
    messages: ClassVar[Mapping[str, str]] = {
        "why": "keeps {operation} at {place} {eps} away from where it is not defined",
        "why-exp": "keeps the argument of exp at {place} within {bound} on both sides, where its value is finite",
    }

    def changes(self, trace: Trace, finding: Finding | None = None) -> tuple[Change, ...]:
        """Return one guard of the operation that was located; none where no line of source is known."""
        located = trace.events_of(EventKind.NON_FINITE)
        event = located[0] if located else None
        if event is None or event.source is None or event.details.get("phase") not in ("forward", "backward"):
            return ()
        operation = self._operation(event)
        if not operation:
            return ()
        half = bool(_HALF.search(event.source.text)) or event.details.get("dtype") == "float16"
        if operation == "exp":
            bound = self.half_bound if half else self.bound
            return (self.change(lines=(event.source,), operation=operation, bound=bound),)
        eps = self.half_eps if half or "float16" in half_formats(trace) else self.eps
        return (self.change(lines=(event.source,), operation=operation, eps=eps),)

    @staticmethod
    def _operation(event: Event) -> str:
        """Return which operation to guard: the one that was located, or what its line holds; "" where neither says."""
        named = _OPERATIONS.get(plain(event.details.get("operation", "")), "")
        if named:
            return named
        text = event.source.text if event.source is not None else ""
        written = [name for name in _IN_TEXT if re.search(rf"\b{name}\(", text)]
        return _OPERATIONS.get(written[0], written[0]) if written else "div" if "/" in text else ""

    def why(self, change: Change, trace: Trace, finding: Finding | None = None) -> Advice:
        """Return the reason, with the place."""
        line = change.lines[0]
        place = f"{line.file}:{line.line}"
        if change.word("operation") == "exp":
            return self.say("why-exp", place=place, bound=number(change.number("bound")))
        return self.say("why", operation=change.word("operation"), place=place, eps=number(change.number("eps")))


REMEDY = LossEps()
