"""From a diagnosis to plans, and to advice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from evengrad.core.finding import Advice, CauseKind, Diagnosis, Finding, Severity
from evengrad.core.plan import Act, Change, Plan
from evengrad.core.trace import Trace
from evengrad.remedies import _random
from evengrad.remedies._autotrainer import autotrainer_order
from evengrad.remedies._base import AbstractRemedy, fault
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies._pairs import matching, pairs

_FOLLOW: Final = (
    CauseKind.LEARNING_RATE_HIGH, CauseKind.WARMUP_MISSING, CauseKind.DEAD_UNITS, CauseKind.ACTIVATION_DERIVATIVE,
)  # fmt: skip
_MOST_ADVICE: Final = 4  # remedies named beside a finding; own choice, what a person reads


def prescribe(diagnosis: Diagnosis) -> tuple[Plan, ...]:
    """Return plans that may repair the first finding of a run, in the order in which they are worth a trial.

    Single changes that take the cause away come first, the least intrusive of them before the others; then pairs, where
    one change asks for another; then changes for what the finding has brought about; then those that may help by
    another way. Only the first finding counts: a repair often uncovers the next, so that one diagnoses again after it.

    Args:
        diagnosis: What is wrong with a run.

    Returns:
        Plans, each once; none for a healthy run, or for findings that are information only.
    """
    finding = first_finding(diagnosis)
    if finding is None:
        return ()
    trace = diagnosis.trace
    cures = _proposed(finding, trace, _curing(finding))
    eases = _proposed(finding, trace, _easing(finding))
    follow = {other: _proposed(other, trace, _curing(other)) for other in _own_faults(finding)}
    abrupt = [change for other, changes in follow.items() if _struck(other) for change in changes]
    extra = [change for other, changes in follow.items() if not _struck(other) for change in changes]
    plans = chain(
        (Plan((change,)) for change in abrupt),
        (Plan((change,)) for change in cures),
        pairs(cures, extra, finding, trace),
        (Plan((change,)) for change in extra),
        (Plan((change,)) for change in eases),
    )
    return _distinct(plans)


def random_plans(diagnosis: Diagnosis, seed: int, count: int) -> tuple[Plan, ...]:
    """Return plans drawn at random among all remedies that apply to the run, whatever the cause: a control.

    Args:
        diagnosis: What is wrong with a run.
        seed: Of the draw.
        count: How many; fewer where the run admits fewer.

    Returns:
        Distinct plans of one or two changes; none for a healthy run.
    """
    return () if first_finding(diagnosis) is None else _random.random_plans(diagnosis.trace, count, seed=seed)


def autotrainer_plans(diagnosis: Diagnosis) -> tuple[Plan, ...]:
    """Return the repairs that AUTOTRAINER would try for the first finding's symptom, in its order: a baseline.

    Source:
        Zhang, Zhai, Ma and Shen, ICSE 2021, ``repair_strategy`` in its source.
    """
    finding = first_finding(diagnosis)
    return () if finding is None else _distinct(autotrainer_order(finding, diagnosis.trace))


def advise(diagnosis: Diagnosis) -> Diagnosis:
    """Return a diagnosis whose findings, and their consequences, carry the remedies that fit them, with the reasons."""
    return replace(diagnosis, findings=tuple(_advised(finding, diagnosis.trace) for finding in diagnosis.findings))


def advice_for(finding: Finding, trace: Trace) -> tuple[Advice, ...]:
    """Return the remedies that fit a finding, most likely first, each once with its reason and numbers."""
    known = catalogue_remedies()
    changes = [
        *_proposed(finding, trace, _curing(finding)),
        *_proposed(finding, trace, _easing(finding)),
    ]  # fmt: skip
    first: dict[str, Change] = {}
    for change in _with_partners(changes):
        first.setdefault(change.remedy, change)
    return tuple(known[name].why(change, trace, finding) for name, change in list(first.items())[:_MOST_ADVICE])


def first_finding(diagnosis: Diagnosis) -> Finding | None:
    """Return the finding to be repaired first: the worst one that is a fault; None for a healthy run."""
    return next(_warnings(diagnosis.findings), None)


def _own_faults(finding: Finding) -> list[Finding]:
    """Return the consequences of a finding that may need a remedy of their own.

    Wrecked weights and dead units go with what wrecked them; behind calls in the wrong order everything is in doubt.
    """
    cause = finding.cause.kind if finding.cause is not None else None
    if cause in (CauseKind.LOOP_ORDER, CauseKind.DISCONNECTED):
        return []
    left_out = {cause, *_FOLLOW}
    return [other for other in _warnings(finding.consequences) if other.cause and other.cause.kind not in left_out]


def _struck(finding: Finding) -> bool:
    """Return whether a sound run was struck from outside: what came with one batch explains what followed it."""
    return finding.first_step > 0 and finding.cause is not None and finding.cause.kind is CauseKind.DATA


def _advised(finding: Finding, trace: Trace) -> Finding:
    consequences = tuple(_advised(other, trace) for other in finding.consequences)
    return replace(finding, consequences=consequences, advice=finding.advice or advice_for(finding, trace))


def _warnings(findings: Iterable[Finding]) -> Iterator[Finding]:
    return (finding for finding in findings if finding.severity is not Severity.INFO)


def _curing(finding: Finding) -> list[AbstractRemedy]:
    """Return the remedies that take a finding's cause away, the least intrusive first."""
    return _ordered(remedy for remedy in catalogue_remedies().values() if fault(finding) in remedy.cures)


def _easing(finding: Finding) -> list[AbstractRemedy]:
    """Return the remedies that may help by another way, the least intrusive first."""
    known = catalogue_remedies().values()
    return _ordered(remedy for remedy in known if fault(finding) in remedy.eases - remedy.cures)


def _ordered(remedies: Iterable[AbstractRemedy]) -> list[AbstractRemedy]:
    return sorted(remedies, key=lambda remedy: (remedy.risk.rank, remedy.place, remedy.id))


def _proposed(finding: Finding, trace: Trace, remedies: Iterable[AbstractRemedy]) -> list[Change]:
    """Return what remedies propose: the first candidate of each, then the second ones."""
    candidates = [remedy.propose(finding, trace) for remedy in remedies]
    firsts = [changes[0] for changes in candidates if changes]
    return firsts + [change for changes in candidates for change in changes[1:]]


def _with_partners(changes: Iterable[Change]) -> Iterator[Change]:
    """Give changes, and behind each swap of an activation the initialisation that belongs to it."""
    for change in changes:
        yield change
        partner = matching(change) if change.act is Act.ACTIVATE else None
        if partner is not None:
            yield partner


def _distinct(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return plans in order, each once whatever the order of its changes."""
    seen: dict[frozenset[Change], Plan] = {}
    for plan in plans:
        seen.setdefault(frozenset(plan.changes), plan)
    return tuple(seen.values())
