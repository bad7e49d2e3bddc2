"""The JSON report on a check: schema ``evengrad.check/1``; its findings are those of ``evengrad.report/1``."""

from __future__ import annotations

import json
import math
from typing import Final

from evengrad.checks.result import CheckResult, HeadRoom, Prediction, Row, Spread
from evengrad.reports.json_report import Json, report_values

SCHEMA: Final = "evengrad.check/1"
_SHARED: Final = ("verdict", "findings", "ledger", "environment")


def render_check_json(result: CheckResult) -> str:
    """Return the report as a JSON document that ends with a line break."""
    return json.dumps(check_values(result), indent=2, allow_nan=False) + "\n"


def check_values(result: CheckResult) -> dict[str, Json]:
    """Return the report as values that JSON has; what is not finite is null."""
    shared = report_values(result.diagnosis)
    seen = result.transformer
    return {
        "schema": SCHEMA,
        **{key: shared[key] for key in _SHARED},
        "setup": _setup(result),
        "attenuation": _spread(result.attenuation),
        "first_loss": {**_spread(result.outset.loss), "guess": _finite(result.outset.guess)},
        "depth": [_row(row) for row in result.rows],
        "prediction": _prediction(result.prediction) if result.prediction else None,
        "proposals": [
            {"method": one.method, "factor": _finite(one.factor), **_prediction(one.expected)}
            for one in result.proposals
        ],
        "formats": [_format(room) for room in result.head_room],
        "attention": [
            {"module": one.module, "entropy": _finite(one.entropy), "logits": _finite(one.logits),
             "dead_rows": _finite(one.dead_rows), "positions": one.positions}
            for one in result.attention
        ],
        "tokens": {"cosine": _finite(seen.cosine), "query_key": _finite(seen.query_key)} if seen else None,
        "time": [
            {"module": one.module, "steps": one.length, "decades": _spread(one.decades)} for one in result.times
        ],
        "notes": [{"key": note.key, **dict(note.values)} for note in result.notes],
        "seconds": _finite(result.seconds),
    }  # fmt: skip


def _setup(result: CheckResult) -> dict[str, Json]:
    setup = result.setup
    return {
        "subject": setup.subject,
        "parameters": setup.parameters,
        "input": setup.input,
        "input_made": setup.input_made,
        "target": setup.target,
        "target_made": setup.target_made,
        "loss": setup.loss,
        "loss_made": setup.loss_made,
        "optimizer": setup.optimizer or None,
        "seeds": setup.seeds,
        "redrawn": setup.redrawn,
    }


def _row(row: Row) -> dict[str, Json]:
    return {
        "layer": row.layer,
        "signal_rms": _spread(row.signal_rms),
        "gradient": _spread(row.gradient),
        "predicted": _finite(row.predicted),
        "distinguishability": _finite(row.apart),
        "activation": row.activation or None,
        "saturated": _finite(row.saturated),
        "dead": _finite(row.dead),
    }


def _format(room: HeadRoom) -> dict[str, Json]:
    return {
        "dtype": room.dtype,
        "underflow": _finite(room.overall),
        "worst": {"parameter": room.worst, "underflow": _finite(room.underflow)},
        "loss_scale": _finite(room.scale),
        "overflows": room.overflows,
    }


def _spread(spread: Spread) -> dict[str, Json]:
    return {"median": _finite(spread.median), "low": _finite(spread.low), "high": _finite(spread.high)}


def _prediction(one: Prediction) -> dict[str, Json]:
    return {
        "activation": one.activation,
        "weight_variance": _finite(one.weight_variance),
        "bias_variance": _finite(one.bias_variance),
        "attenuation": _finite(one.attenuation + one.bias),
        "low": _finite(one.low),
        "high": _finite(one.high),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
