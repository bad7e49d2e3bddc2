"""Run every rule on a trace and say what is wrong with the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from evengrad.core.discover import catalogue
from evengrad.core.finding import Diagnosis, Finding, Severity, Verdict
from evengrad.core.trace import Trace
from evengrad.diagnosis.folding import fold
from evengrad.rules._base import AbstractRule

_log = logging.getLogger(__name__)


def diagnose(trace: Trace, rules: Mapping[str, AbstractRule] | None = None) -> Diagnosis:
    """Return what is wrong with a run, as far as its trace shows it.

    A rule that raises is listed in ``failed_rules``; the others are not affected. The verdict is unknown when no
    optimizer step was seen, sick when a finding is a warning or an error, else healthy.

    Args:
        trace: What was measured.
        rules: The rules to ask, by id; all of the catalogue when None.

    Returns:
        The findings, consequences folded under their causes, worst first.
    """
    found: list[Finding] = []
    failed: list[str] = []
    for name, rule in (catalogue_rules() if rules is None else rules).items():
        try:
            found.extend(rule.judge(trace))
        except Exception as error:  # one broken rule must not take the others' verdicts with it
            _log.debug("rule %s failed: %r", name, error, exc_info=True)
            failed.append(name)
    findings = fold(found)
    return Diagnosis(_verdict(trace, findings), trace, findings, tuple(failed))


def catalogue_rules() -> dict[str, AbstractRule]:
    """Return every rule of the catalogue by id."""
    return {name: module.RULE for name, module in catalogue("evengrad.rules").items()}


def _verdict(trace: Trace, findings: tuple[Finding, ...]) -> Verdict:
    if trace.steps == 0:
        return Verdict.UNKNOWN
    return Verdict.SICK if any(f.severity is not Severity.INFO for f in findings) else Verdict.HEALTHY
