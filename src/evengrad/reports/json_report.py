"""The JSON report, for programs: schema ``evengrad.report/1``, in English, strict JSON in ASCII.

A number that is not finite is ``null``; where it was measured, ``measured_text`` says it: ``nan``, ``inf``, ``-inf``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from evengrad.core.finding import Cause, Diagnosis, Evidence, Finding
from evengrad.core.info import SourceLine
from evengrad.core.ledger import Ledger, LedgerEntry
from evengrad.core.trace import Trace
from evengrad.reports.advice import first_action
from evengrad.reports.ledger_table import guilty_ledger
from evengrad.reports.text import number, texts

SCHEMA: Final = "evengrad.report/1"

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def render_json(diagnosis: Diagnosis) -> str:
    """Return the report as a JSON document that ends with a line break."""
    return json.dumps(report_values(diagnosis), indent=2, allow_nan=False) + "\n"


def report_values(diagnosis: Diagnosis) -> dict[str, Json]:
    """Return the report as values that JSON has."""
    trace = diagnosis.trace
    ledger = guilty_ledger(diagnosis)
    here, cost = trace.environment, trace.overhead
    return {
        "schema": SCHEMA,
        "verdict": diagnosis.verdict.value,
        "steps": trace.steps,
        "script": trace.script,
        "completed": trace.completed,
        "findings": [_finding(finding, trace) for finding in diagnosis.findings],
        "failed_rules": list(diagnosis.failed_rules),
        "ledger": _ledger(ledger) if ledger else {},
        "overhead": {
            "share": _finite(cost.share),
            "budget": _finite(cost.budget),
            "seconds": _finite(cost.seconds),
            "run_seconds": _finite(cost.run_seconds),
        },
        "environment": {
            **here.extras,
            "torch": here.torch,
            "python": here.python,
            "device": here.device,
        },
    }


def _finding(finding: Finding, trace: Trace) -> dict[str, Json]:
    first, remedies = first_action(finding, trace, texts("en"))
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "modules": list(finding.modules),
        "parameters": list(finding.parameters),
        "source": [_source(line) for line in finding.source],
        "message": finding.message,
        "evidence": [_evidence(row) for row in finding.evidence],
        "cause": _cause(finding.cause) if finding.cause else None,
        "first_action": first,
        "remedies": [{"remedy": remedy.id, "why": remedy.why} for remedy in remedies],
        "consequences": [_finding(other, trace) for other in finding.consequences],
    }


def _source(line: SourceLine) -> dict[str, Json]:
    return {"file": line.file, "line": line.line, "text": line.text}


def _evidence(row: Evidence) -> dict[str, Json]:
    values: dict[str, Json] = {
        "quantity": row.quantity,
        "measured": _finite(row.measured),
        "threshold": None if row.threshold is None else _finite(row.threshold),
        "unit": row.unit,
        "subject": row.subject,
    }
    if not math.isfinite(row.measured):
        values["measured_text"] = number(row.measured)
    return values


def _cause(cause: Cause) -> dict[str, Json]:
    return {"kind": cause.kind.value, "share": _finite(cause.share), "explanation": cause.explanation}


def _ledger(ledger: Ledger) -> dict[str, Json]:
    return {
        "step": ledger.step,
        "first": ledger.first,
        "last": ledger.last,
        "attenuation": _finite(ledger.attenuation),
        "attenuation_text": number(ledger.attenuation),
        "unit": "decades",
        "layers": ledger.layers,
        "steps_in_time": ledger.steps_in_time,
        "loss_norm": _finite(ledger.loss_norm),
        "rms_correction": _finite(ledger.rms_correction),
        "by_kind": {kind.value: _finite(value) for kind, value in ledger.by_kind().items()},
        "entries": [_entry(entry) for entry in ledger],
        "branches": [
            {
                "module": branch.module,
                "consumers": list(branch.consumers),
                "shares": [_finite(share) for share in branch.shares],
            }
            for branch in ledger.branches
        ],
    }


def _entry(entry: LedgerEntry) -> dict[str, Json]:
    return {
        "module": entry.module,
        "operation": entry.operation,
        "kind": entry.kind.value,
        "decades": _finite(entry.decades),
        "scale": None if entry.scale is None else _finite(entry.scale),
        "uses": entry.uses,
        "source": _source(entry.source) if entry.source else None,
    }


def _finite(value: float) -> float | None:
    """Return a number that JSON has: Python would write NaN and Infinity, which no other reader takes."""
    return float(value) if math.isfinite(value) else None
