"""The contract ``evengrad.report/1`` as a small schema, and what checks a report against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NUMBER = (int, float)
MAYBE_NUMBER = (int, float, type(None))

SOURCE = {"file": str, "line": int, "text": str}
EVIDENCE = {
    "quantity": str, "measured": MAYBE_NUMBER, "threshold": MAYBE_NUMBER, "unit": str, "subject": str,
    "measured_text?": str,
}  # fmt: skip
CAUSE = {"kind": str, "share": MAYBE_NUMBER, "explanation": str}
FINDING: dict[str, object] = {
    "rule": str,
    "severity": {"error", "warning", "info"},
    "first_step": int,
    "last_step": int,
    "modules": [str],
    "parameters": [str],
    "source": [SOURCE],
    "message": str,
    "evidence": [EVIDENCE],
    "cause": (CAUSE, None),
    "first_action": str,
    "remedies": [{"remedy": str, "why": str}],
}
FINDING["consequences"] = [FINDING]
ENTRY = {
    "module": str, "operation": str, "kind": str, "decades": MAYBE_NUMBER, "scale": MAYBE_NUMBER, "uses": int,
    "source": (SOURCE, None),
}  # fmt: skip
LEDGER = {
    "step": int, "first": str, "last": str, "attenuation": MAYBE_NUMBER, "attenuation_text": str, "unit": str,
    "layers": int, "steps_in_time": int, "loss_norm": MAYBE_NUMBER, "rms_correction": MAYBE_NUMBER, "by_kind": dict,
    "entries": [ENTRY], "branches": [{"module": str, "consumers": [str], "shares": [MAYBE_NUMBER]}],
}  # fmt: skip
REPORT = {
    "schema": {"evengrad.report/1"},
    "verdict": {"healthy", "sick", "unknown"},
    "steps": int,
    "script": str,
    "completed": bool,
    "findings": [FINDING],
    "failed_rules": [str],
    "ledger": (LEDGER, {}),
    "overhead": {"share": MAYBE_NUMBER, "budget": NUMBER, "seconds": NUMBER, "run_seconds": NUMBER},
    "environment": {"torch": str, "python": str, "device": str, "*": str},
}


def assert_valid(value: object, schema: object = REPORT, path: str = "$") -> None:
    """Assert that a value has the schema's form: every key, no other, each of its type."""
    if isinstance(schema, Mapping):
        assert isinstance(value, Mapping), path
        required = {key for key in schema if not key.endswith("?") and key != "*"}
        allowed = required | {key.removesuffix("?") for key in schema}
        assert required <= set(value), f"{path} lacks {required - set(value)}"
        assert "*" in schema or set(value) <= allowed, f"{path} has {set(value) - allowed}"
        for key, each in value.items():
            assert_valid(each, schema.get(key, schema.get(f"{key}?", schema.get("*"))), f"{path}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, Sequence), path
        assert not isinstance(value, str), path
        for index, each in enumerate(value):
            assert_valid(each, schema[0], f"{path}[{index}]")
    elif isinstance(schema, set):
        assert value in schema, f"{path} is {value!r}"
    elif isinstance(schema, tuple) and any(isinstance(each, Mapping) for each in schema):
        if value not in (None, {}):
            assert_valid(value, schema[0], path)
        else:
            assert value in schema, f"{path} is {value!r}"
    else:
        assert isinstance(value, schema), f"{path} is {value!r}"
        assert not (isinstance(value, bool) and schema is not bool), f"{path} is {value!r}"
