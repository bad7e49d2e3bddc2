"""Runs of cases under watch, and how what was said of them compares with what is known."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.baselines._base import Baseline
from evengrad import Severity, diagnose, watch
from evengrad.cases._base import Case, Run
from evengrad.core.finding import Finding
from evengrad.core.trace import Trace


@dataclass(frozen=True)
class Verdict:
    """How a tool did on one run."""

    found: bool = False  # names the fault, at the right place and step; on a healthy run: raises an alarm
    own_rule: bool = False  # by the case's own rule, not an equivalent one
    cause: bool = False
    alarms: int = 0
    extra: int = 0  # alarms besides the one that names the fault
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One run: what it was, and how every tool did."""

    name: str
    seed: int
    sick: bool
    twin: bool
    loss: float
    verdicts: dict[str, Verdict] = field(default_factory=dict)


def observe(run: Run, seed: int) -> tuple[float, Trace]:
    """Train under watch, with no arguments given, and return the final loss and the trace."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's remarks on a scheduler stepped after a skipped step, and the like
        with watch() as monitor:
            loss = run(seed)
    return loss, monitor.trace()


def outcome(name: str, case: Case, seed: int, *, twin: bool, baselines: Sequence[Baseline]) -> Outcome:
    """Run a case, or its healthy twin, and ask every tool."""
    run = case.twin if twin and case.twin is not None else case.run
    loss, trace = observe(run, seed)
    sick = case.fault is not None and not twin
    verdicts = {"evengrad": judge(case, trace, sick=sick)}
    verdicts |= {b.name: judge_baseline(b, case, trace, sick=sick) for b in baselines}
    return Outcome(name, seed, sick, twin, loss, verdicts)


def judge(case: Case, trace: Trace, *, sick: bool) -> Verdict:
    """Hold evengrad's findings on a trace against what is known of the case."""
    alarms = [finding for finding in diagnose(trace).findings if finding.severity is not Severity.INFO]
    said = tuple(_words(finding) for finding in alarms)
    if not sick:
        return Verdict(found=bool(alarms), alarms=len(alarms), said=said)
    right = [f for f in alarms if case.names_fault(f) and case.accepts_place(f) and case.accepts_step(f)]
    return Verdict(
        found=bool(right),
        own_rule=any(f.rule == case.fault for f in right),
        cause=any(case.accepts_cause(f) for f in right),
        alarms=len(alarms),
        extra=len(alarms) - len(right),
        said=said,
    )


def judge_baseline(baseline: Baseline, case: Case, trace: Trace, *, sick: bool) -> Verdict:
    """Hold another tool's alarms against the case; its place and step are not asked for, and it gives no cause."""
    alarms = baseline.judge(trace)
    said = tuple(f"{alarm.symptom}@{alarm.place}" for alarm in alarms)
    if not sick:
        return Verdict(found=bool(alarms), alarms=len(alarms), said=said)
    rules = {case.fault, *case.equivalents}
    right = [alarm for alarm in alarms if rules & baseline.names.get(alarm.symptom, frozenset())]
    return Verdict(found=bool(right), alarms=len(alarms), extra=len(alarms) - len(right), said=said)


def _words(finding: Finding) -> str:
    """Return a finding in a few words, for the table of what went wrong."""
    cause = finding.cause.kind.value if finding.cause else "no cause"
    place = next(iter((*finding.modules, *finding.parameters)), "")
    return f"{finding.rule}@{place} from {finding.first_step}: {cause}"
