"""What has become of the findings: a lower loss over a few steps proves little while the fault is still there."""

from __future__ import annotations

from collections.abc import Iterator

from evengrad.core.finding import Diagnosis, Finding, Severity, Verdict
from evengrad.core.trial import Symptom


def faults_of(diagnosis: Diagnosis) -> dict[str, Severity]:
    """Return the rules that found a fault as a cause of its own, with the worst severity of each, worst first."""
    faults: dict[str, Severity] = {}
    for finding in sorted(diagnosis.findings, key=lambda finding: -finding.severity.rank):
        if finding.severity is not Severity.INFO:
            faults.setdefault(finding.rule, finding.severity)
    return faults


def symptom(before: Diagnosis, after: Diagnosis) -> Symptom:
    """Return what a change has made of the first fault: the one that plans are prescribed for.

    Gone: its rule finds nothing any more, not even as a consequence of something else. Weaker: it finds less severe
    things.

    Args:
        before: Of the run that nothing was changed in.
        after: Of the changed run, over as many steps.
    """
    first = next(iter(faults_of(before).items()), None)
    if after.verdict is Verdict.UNKNOWN or first is None:
        return Symptom.UNKNOWN
    rule, severity = first
    still = [finding.severity.rank for finding in _all(after.findings) if finding.rule == rule]
    if max(still, default=0) == 0:
        return Symptom.GONE
    return Symptom.WEAKER if max(still) < severity.rank else Symptom.THERE


def _all(findings: tuple[Finding, ...]) -> Iterator[Finding]:
    for finding in findings:
        yield finding
        yield from _all(finding.consequences)
