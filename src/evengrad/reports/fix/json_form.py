"""The ``fix`` part of the JSON report: schema ``evengrad.report/1``."""

from __future__ import annotations

import json
import math

from evengrad.core.plan import Plan
from evengrad.core.trial import ArmResult, Cost, Effect, Fix
from evengrad.reports.fix.document import late
from evengrad.reports.json_report import Json, report_values


def render_fix_json(fix: Fix) -> str:
    """Return the report on a program and its fix as a JSON document that ends with a line break."""
    return json.dumps({**report_values(fix.diagnosis), "fix": fix_values(fix)}, indent=2, allow_nan=False) + "\n"


def fix_values(fix: Fix) -> dict[str, Json]:
    """Return a fix as values that JSON has."""
    return {
        "ending": fix.ending.value,
        "verified": fix.verified,
        "remedies": list(fix.chosen.remedies),
        "changes": _changes(fix.chosen),
        "patched_script": fix.patched or None,
        "files": list(fix.files),
        "diff": fix.diff,
        "horizon": fix.horizon,
        "findings_left": list(fix.after),
        "trials": [_arm(arm) for arm in fix.arms],
        "instructions": [{"plan": str(item.plan), "text": item.text} for item in fix.instructions],
        "cost": _cost(fix.cost),
    }


def _changes(plan: Plan) -> list[Json]:
    return [
        {
            "remedy": change.remedy,
            "act": change.act.value,
            "risk": change.risk.value,
            "settings": {name: value if not isinstance(value, float) else _finite(value) for name, value in settings},
            "modules": list(change.modules),
            "parameters": list(change.parameters),
        }
        for change in plan.changes
        for settings in [change.settings]
    ]


def _arm(arm: ArmResult) -> dict[str, Json]:
    return {
        "name": arm.name,
        "role": arm.role.value,
        "changes": _changes(arm.plan),
        "verdict": arm.outcome.value if arm.outcome is not None else None,
        "finding": arm.symptom.value,
        "late_loss": _finite(late(arm)),
        "effect": _effect(arm.effect) if arm.effect is not None else None,
        "runs": [
            {
                "seed": curve.seed,
                "steps": curve.steps,
                "ended": curve.ended,
                "error": curve.error or None,
                "finals": {name: _finite(value) for name, value in curve.finals},
            }
            for curve in arm.curves
        ],
        "findings_left": list(arm.left),
        "note": arm.note or None,
    }


def _effect(effect: Effect) -> dict[str, Json]:
    return {
        "quantity": effect.quantity,
        "scale": effect.scale,
        "estimate": _finite(effect.estimate),
        "low": _finite(effect.low),
        "high": _finite(effect.high),
        "seeds": effect.seeds,
        "confidence": effect.confidence,
    }


def _cost(cost: Cost) -> dict[str, Json]:
    return {
        "seconds": cost.seconds,
        "diagnosis_seconds": cost.diagnosis_seconds,
        "trial_seconds": cost.trial_seconds,
        "verify_seconds": cost.verify_seconds,
        "diagnosis_steps": cost.diagnosis_steps,
        "trial_steps": cost.trial_steps,
        "runs": cost.runs,
        "resumed": cost.resumed,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
