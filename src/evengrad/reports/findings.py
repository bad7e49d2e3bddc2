"""Findings in the reader's language."""

from __future__ import annotations

from typing import Final

from evengrad.core.finding import Evidence, Finding
from evengrad.core.info import SourceLine
from evengrad.core.trace import Trace
from evengrad.reports.advice import first_action
from evengrad.reports.text import Texts, clean, number, percent
from evengrad.reports.values import Consequence, EvidenceRow, FindingBlock, Place

_LONGEST: Final = 200  # characters of a source line that are shown


def finding_block(finding: Finding, trace: Trace, texts: Texts) -> FindingBlock:
    """Return a finding as a report shows it."""
    first, remedies = first_action(finding, trace, texts)
    cause = finding.cause
    return FindingBlock(
        rule=clean(finding.rule),
        title=rule_title(finding.rule, texts),
        about=rule_about(finding.rule, texts),
        severity=finding.severity,
        severity_label=texts.say(f"severity.{finding.severity.value}"),
        message=texts.message(finding),
        when=_when(finding, trace, texts),
        modules=tuple(clean(name) or _model(trace, texts) for name in finding.modules),
        parameters=tuple(clean(name) for name in finding.parameters),
        places=tuple(_place(line) for line in finding.source),
        cause=texts.say(f"cause.{cause.kind.value}") if cause else "",
        cause_share=percent(cause.share) if cause else "",
        explanation=texts.explanation(cause) if cause else "",
        first=first,
        remedies=remedies,
        consequences=tuple(
            Consequence(clean(other.rule), rule_title(other.rule, texts), texts.message(other))
            for other in _flattened(finding.consequences)
        ),
        evidence=tuple(_evidence(row, finding.rule, texts) for row in finding.evidence),
        explain=f"evengrad explain {clean(finding.rule)}",
    )


def rule_title(rule: str, texts: Texts) -> str:
    """Return a rule's title; its id where nobody gave it one."""
    key = f"rule.{rule}.title"
    return texts.say(key) if texts.has(key) else clean(rule)


def rule_about(rule: str, texts: Texts) -> str:
    """Return what a rule's symptom is, in two sentences; "" where nobody wrote them."""
    key = f"rule.{rule}.about"
    return texts.say(key) if texts.has(key) else ""


def _flattened(findings: tuple[Finding, ...]) -> list[Finding]:
    """Return consequences and the consequences of those, in order."""
    return [each for finding in findings for each in (finding, *_flattened(finding.consequences))]


def _model(trace: Trace, texts: Texts) -> str:
    """Return the name of the model itself, whose module name is empty: its class."""
    root = trace.module("")
    return clean(root.kind) if root and root.kind else texts.say("word.model")


def _when(finding: Finding, trace: Trace, texts: Texts) -> str:
    first, last = finding.first_step, finding.last_step
    # What is measured on probes lasts, as far as anyone can tell, when the last probe still shows it.
    if last > first and last == max((ledger.step for ledger in trace.ledgers), default=-1):
        last = trace.steps - 1
    at = {"first": f"{first:,}", "last": f"{last:,}"}
    if first == last and trace.steps > 1:
        return texts.say("when.once", **at)
    if last < trace.steps - 1 and last > first:
        return texts.say("when.span", **at)
    return texts.say("when.from-start" if first == 0 else "when.since", **at)


def _place(line: SourceLine) -> Place:
    return Place(f"{clean(line.file)}:{line.line}", clean(line.text).strip()[:_LONGEST])


def _evidence(row: Evidence, rule: str, texts: Texts) -> EvidenceRow:
    threshold = "" if row.threshold is None else number(row.threshold)
    unit = (
        "" if row.unit == "1" else texts.say(f"unit.{row.unit}") if texts.has(f"unit.{row.unit}") else clean(row.unit)
    )
    return EvidenceRow(texts.quantity(rule, row.quantity), clean(row.subject), number(row.measured), threshold, unit)
