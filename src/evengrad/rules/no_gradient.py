"""Parameters that an optimizer holds and that never get a gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import ParamInfo, SourceLine
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._base import AbstractRule
from evengrad.rules._blame import blame
from evengrad.rules._dead import dead_sites, zero_weights
from evengrad.rules._depth import depths, shown, source_lines
from evengrad.rules._late import late
from evengrad.rules._output import swallowed
from evengrad.rules._progress import Progress, State, progress
from evengrad.rules._words import lines, module_of, number, percent, place

_LOOP = (
    EventKind.FOREIGN_PARAMETERS,
    EventKind.STEP_WITHOUT_BACKWARD,
    EventKind.ZERO_GRAD_BEFORE_STEP,
    EventKind.CLIP_BEFORE_BACKWARD,
)


@dataclass(frozen=True)
class _Cut:
    """The parameters without gradient: none ever given, or always exactly zero; and those that do get one."""

    missing: tuple[ParamInfo, ...]
    zero: tuple[ParamInfo, ...]
    alive: tuple[ParamInfo, ...]

    @property
    def all(self) -> tuple[ParamInfo, ...]:
        """All parameters without gradient."""
        return (*self.missing, *self.zero)

    @property
    def share(self) -> float:
        """Their share of the entries of all parameters."""
        cut = sum(info.numel for info in self.all)
        return cut / max(1, cut + sum(info.numel for info in self.alive))


_FLAT = frozenset({"sign", "sgn", "round", "floor", "ceil", "trunc", "frac", "heaviside"})


@dataclass(frozen=True)
class NoGradient(AbstractRule):
    """Parameters that are meant to learn get no gradient on any step.

    What it measures:
        For each parameter that an optimizer holds and that requires a gradient: whether it is missing, or exactly zero,
        on every step that was looked at; what share of all trained entries that is; and whether the layers nearest the
        data are among them.

    Why it hurts:
        Such parameters stay as they were initialised. A ``detach()``, ``.item()`` or ``.data`` too many, an operation
        without derivative (``argmax``, rounding), or a layer of dead units cuts off everything before it.

    When it misleads:
        Frozen parameters (``requires_grad`` off) are meant to be so and are not counted. Heads that a task does not
        use, and experts or embedding rows that are never chosen, get none by design: that is information only, as long
        as everything nearer the data learns. A zero-initialised adapter has zero gradients at step 0 alone.

    Thresholds:
        steps: steps that must have been looked at. Own choice: 3 tells step 0 from the rest.
        most: share of entries, "1", from which a run that fails does so for want of gradients. Own choice: half.
        some: share of entries, "1", below which the finding is information. Own choice: a tenth.

    Source:
        PyTorch documentation, autograd mechanics; PyTorch issue 40983. Theory page, what users ask ("parameters that
        never learn").
    """

    steps: int = 3
    most: float = 0.5
    some: float = 0.1

    messages: ClassVar[Mapping[str, str]] = {
        "nothing": "None of the {count} parameter tensors that are to be trained ever gets a gradient.",
        "cut": "{count} parameter tensors ({share} of all entries) in {modules} never get a gradient, although layers "
        "after them do.",
        "zero": "In {count} parameter tensors ({share} of all entries) in {modules} the gradient is exactly 0 on "
        "every step.",
        "unused": "{count} parameter tensors ({share} of all entries) in {modules} never get a gradient; the others "
        "do.",
        "cause-disconnected": "no path of differentiable operations leads from the loss to `{module}`",
        "cause-dead": "`{site}` passes no gradient on any sample ({dead} of its units are dead)",
        "cause-precision": "the gradient underflows to 0 on its way ({flushed} of its entries are 0 at `{parameter}`)",
        "cause-zero": "the weights that the gradient would have to pass are zero and stay zero",
        "cause-factor": "backward reaches `{module}`, but what arrives is exactly 0: a factor of 0 lies on the way",
        "cause-flat": "{operation} at `{module}` is flat: its derivative is 0 wherever it has one",
        "cause-derivative": "{operation} at `{module}` has derivative 0 there",
    }

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        """Return one finding on all parameters that never get a gradient."""
        cut = self._cut(trace)
        if cut is None or swallowed(trace) or any(e.count * 2 > trace.steps for e in trace.events_of(*_LOOP)):
            return ()
        run = progress(trace)
        severity, key = self._verdict(trace, cut, run)
        modules = module_of(trace, [info.name for info in cut.all])
        values = {"count": str(len(cut.all))}
        if key != "nothing":
            values |= {"share": percent(cut.share), "modules": shown(modules)}
        text, qualified, pairs = self.say(key, **values)
        return (
            Finding(
                rule=self.id,
                severity=severity,
                message=text,
                first_step=0,
                last_step=max(0, trace.steps - 1),
                modules=modules,
                parameters=tuple(info.name for info in cut.all),
                source=lines(*_flat_lines(trace), *source_lines(trace, modules)),
                evidence=(Evidence("share of entries without gradient", cut.share, self.some, "1", cut.all[0].name),),
                cause=self._cause(trace, cut),
                message_key=qualified,
                values=pairs,
            ),
        )

    def _cut(self, trace: Trace) -> _Cut | None:
        """Return which parameters never get a gradient; None when there are none, or too little was seen."""
        missing, zero, alive = [], [], []
        for info in trace.parameters:
            if info.optimizer < 0 or not info.requires_grad:
                continue
            absent = trace.get(Statistic.GRAD_MISSING, info.name)
            sizes = trace.get(Statistic.GRAD_RMS, info.name)
            if len(absent) and trace.steps >= self.steps and bool((absent.values == 1).all()):
                missing.append(info)
            elif len(sizes) >= self.steps and bool((sizes.values == 0).all()):
                if trace.get(Statistic.WEIGHT_RMS, info.name).last() != 0:  # both zero: a bad initialisation
                    zero.append(info)
            elif len(sizes):
                alive.append(info)
        cut = _Cut(tuple(missing), tuple(zero), tuple(alive))
        return cut if any(len(info.shape) >= 2 for info in cut.all) or (cut.all and not alive) else None

    def _verdict(self, trace: Trace, cut: _Cut, run: Progress) -> tuple[Severity, str]:
        """Return how bad it is, and the sentence that says so."""
        if not cut.alive:
            return Severity.ERROR, "nothing"
        key = "cut" if len(cut.missing) > len(cut.zero) else "zero"
        if not _nearest_data(trace, cut):
            return (Severity.WARNING if run.failing and cut.share >= self.most else Severity.INFO), (
                "unused" if key == "cut" else key
            )
        if run.state is State.SOLVED or cut.share < self.some:
            return Severity.INFO, key
        return (Severity.ERROR if run.failing and cut.share >= self.most else Severity.WARNING), key

    def _cause(self, trace: Trace, cut: _Cut) -> Cause:
        """Return what keeps the gradient away."""
        module = cut.all[-1].module or cut.all[-1].name
        if not cut.zero:
            return self.cause(CauseKind.DISCONNECTED, 1.0, "cause-disconnected", module=module)
        for site, share in dead_sites(trace).items():
            return self.cause(CauseKind.DEAD_UNITS, 1.0, "cause-dead", site=site.name, dead=percent(share))
        flushed = _underflow(trace, cut)
        if flushed is not None:
            return self.cause(
                CauseKind.PRECISION, 1.0, "cause-precision", parameter=flushed[0], flushed=number(flushed[1])
            )
        for depth in depths(trace, failing=True):
            reason = blame(depth.typical)
            if reason.kind is CauseKind.PRECISION:
                return self.cause(reason.kind, 1.0, "cause-precision", parameter=cut.zero[-1].name, flushed="1")
            if reason.kind is CauseKind.ACTIVATION_DERIVATIVE and (barrier := reason.entry) is not None:
                values = {"operation": barrier.operation, "module": place(trace, barrier.module)}
                if barrier.operation.lower() in _FLAT:
                    return self.cause(reason.kind, 1.0, "cause-flat", **values)
                kind = reason.kind if barrier.kind is EntryKind.ACTIVATION else CauseKind.DISCONNECTED
                return self.cause(kind, 1.0, "cause-derivative", **values)
        if any(zero_weights(trace, (site,)) for site in trace.layers):
            return self.cause(CauseKind.WEIGHT_SCALE_SMALL, 1.0, "cause-zero")
        return self.cause(CauseKind.WEIGHT_SCALE_SMALL, 0.5, "cause-factor", module=module)


def _flat_lines(trace: Trace) -> tuple[SourceLine, ...]:
    """Return the user's lines with an operation that is flat, on a path on which nothing of the gradient arrives."""
    blocked = (ledger for ledger in trace.ledgers if ledger.attenuation == -math.inf)
    flat = (entry for ledger in blocked for entry in ledger if entry.operation.lower() in _FLAT)
    return tuple(dict.fromkeys(entry.source for entry in flat if entry.source is not None))


def _nearest_data(trace: Trace, cut: _Cut) -> bool:
    """Return whether the parameters without gradient come before all others: something cuts the way to the data.

    Where calls of modules were seen, a module that the forward pass never called is not in anybody's way.
    """
    names = {info.name for info in cut.all}
    order = [info.name for info in trace.parameters if info.name in names or info in cut.alive]
    called = {module.name for module in trace.modules if module.called is not None}
    used = not called or any(info.module in called for info in cut.all)
    return used and order[0] in names


def _underflow(trace: Trace, cut: _Cut) -> tuple[str, float] | None:
    """Return a parameter whose gradient is largely flushed to zero in half precision, with the share."""
    half = any(info.dtype in ("float16", "bfloat16") for info in (*cut.zero, *cut.alive))
    for info in cut.alive:
        share = late(trace.get(Statistic.GRAD_ZERO_SHARE, info.name)).median()
        if half and share > 0.5:
            return info.name, share
    return None


RULE = NoGradient()
