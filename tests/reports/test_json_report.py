from __future__ import annotations

import json
import math

import pytest

from evengrad.core.finding import Evidence, Severity
from evengrad.core.info import Environment, Overhead
from evengrad.core.trace import Trace
from evengrad.reports.json_report import render_json
from tests.builders import TraceBuilder, branch, deep_sigmoid, diagnosis, finding, healthy_mlp
from tests.reports.hostile import hostile_diagnosis
from tests.reports.schema import assert_valid


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def parsed(made) -> dict:
    return json.loads(render_json(made), parse_constant=refuse)


FOLDED = finding(consequences=(finding("dead-units", Severity.WARNING, cause=None),))
BLOCKED = TraceBuilder().mlp(3).ledger(attenuation=-math.inf, loss_norm=math.inf, branches=(branch("a", b=0.4, c=0.6),))


@pytest.mark.parametrize(
    "made",
    [
        diagnosis(Trace()),
        diagnosis(healthy_mlp()),
        diagnosis(deep_sigmoid(), FOLDED, failed_rules=("x",)),
        diagnosis(BLOCKED.build()),
        hostile_diagnosis(),
    ],
    ids=["unknown", "healthy", "sick", "blocked", "hostile"],
)
def test_every_report_keeps_the_contract(made):
    assert_valid(parsed(made))


def test_the_contract_is_checked_in_earnest():
    report = parsed(diagnosis(deep_sigmoid(), finding()))
    for broken in ({"verdict": "ill"}, {"steps": "300"}, {"steps": True}, {"extra": 1}, {"ledger": {"step": 0}}):
        with pytest.raises(AssertionError):
            assert_valid({**report, **broken})
    report["findings"][0].pop("cause")
    with pytest.raises(AssertionError, match="lacks"):
        assert_valid(report)


def test_the_finding_is_told_in_full():
    report = parsed(diagnosis(deep_sigmoid(), finding()))
    assert (report["schema"], report["verdict"], report["steps"]) == ("evengrad.report/1", "sick", 300)
    told = report["findings"][0]
    assert told["source"] == [{"file": "digits_sigmoid.py", "line": 12, "text": "nn.Linear(64, 64),"}]
    assert told["evidence"] == [
        {
            "quantity": "attenuation across depth",
            "measured": -5.4,
            "threshold": -4.0,
            "unit": "decades",
            "subject": "net.0",
        }
    ]
    assert told["cause"] == {"kind": "activation-derivative", "share": 0.9, "explanation": finding().cause.explanation}
    assert [remedy["remedy"] for remedy in told["remedies"]] == ["tanh", "xavier-init", "relu", "he-init"]


def test_there_is_no_fix_without_a_trial():
    assert "fix" not in parsed(diagnosis(deep_sigmoid(), finding()))


def test_numbers_that_are_not_finite_are_null_and_named():
    rows = tuple(Evidence("loss", value, value) for value in (math.nan, math.inf, -math.inf))
    trace = TraceBuilder().change(overhead=Overhead(share=math.nan)).build()
    report = parsed(diagnosis(trace, finding(evidence=rows)))
    assert [(row["measured"], row["threshold"]) for row in report["findings"][0]["evidence"]] == [(None, None)] * 3
    assert [row["measured_text"] for row in report["findings"][0]["evidence"]] == ["nan", "inf", "-inf"]
    assert report["overhead"]["share"] is None


def test_a_blocked_ledger_keeps_its_meaning():
    report = parsed(diagnosis(TraceBuilder().mlp(3).ledger(attenuation=-math.inf).build(), finding()))
    assert (report["ledger"]["attenuation"], report["ledger"]["attenuation_text"]) == (None, "-inf")


def test_the_ledgers_entries_add_up():
    told = parsed(diagnosis(deep_sigmoid(), finding()))["ledger"]
    assert math.fsum(entry["decades"] for entry in told["entries"]) == pytest.approx(told["attenuation"])
    assert math.fsum(told["by_kind"].values()) == pytest.approx(told["attenuation"])


def test_any_stream_can_take_the_report():
    assert render_json(hostile_diagnosis()).isascii()
    assert render_json(diagnosis(Trace())).endswith("}\n")


def test_strings_of_the_run_arrive_as_they_are():
    script = "a\udcff\x1b層.py"
    assert parsed(diagnosis(Trace(script=script)))["script"] == script


def test_extras_cannot_displace_the_contracts_own_keys():
    trace = (
        TraceBuilder().change(environment=Environment("2.13", "3.11", "cpu", {"torch": "fake", "gpu": "none"})).build()
    )
    assert parsed(diagnosis(trace))["environment"] == {
        "torch": "2.13",
        "python": "3.11",
        "device": "cpu",
        "gpu": "none",
    }
