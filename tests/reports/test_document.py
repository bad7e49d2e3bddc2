from __future__ import annotations

import math

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Evidence, Severity, Verdict
from evengrad.core.info import Overhead, ParamInfo, SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.errors import UsageError
from evengrad.reports.document import build_document
from evengrad.reports.weights import weights
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding, healthy_mlp


def test_the_headline_counts_what_is_wrong():
    errors = (
        finding(),
        finding("non-finite"),
        finding("dead-units", Severity.WARNING),
        finding("input-scale", Severity.INFO),
    )
    assert (
        build_document(diagnosis(deep_sigmoid(), *errors)).headline
        == "2 errors, 1 warning in 300 steps of digits_sigmoid.py."
    )


def test_information_does_not_make_a_run_sick():
    document = build_document(diagnosis(healthy_mlp(), finding("input-scale", Severity.INFO)))
    assert document.verdict is Verdict.HEALTHY
    assert document.headline == "No fault found in 100 steps of train.py; 1 thing worth knowing."


def test_a_run_without_steps_says_that_nothing_can_be_said():
    document = build_document(diagnosis(Trace(script="eval.py")))
    assert document.headline == "No optimizer step was seen in eval.py, so nothing can be said about the gradients."
    assert "optimizer.step()" in document.next_step


def test_an_unknown_language_is_refused():
    with pytest.raises(UsageError, match="no language 'xx'"):
        build_document(diagnosis(healthy_mlp()), "xx")


def test_depth_is_told_as_a_range_when_it_moved():
    trace = TraceBuilder(steps=64).mlp(4).ledger(0, activation=-0.4).ledger(32, activation=-1.4).build()
    assert (
        build_document(diagnosis(trace)).depth
        == "Gradient across depth: -1.4 to -0.4 decades from `net.6` back to `net.0` (4 layers)."
    )


def test_depth_that_lets_nothing_through_is_told():
    trace = TraceBuilder().mlp(4).ledger(0, attenuation=-math.inf).build()
    assert "exactly zero at `net.0`" in build_document(diagnosis(trace)).depth


def test_a_loss_that_broke_says_since_when():
    trace = TraceBuilder(steps=5).series(Statistic.LOSS, "", [1.0, 2.0, math.nan, math.inf, math.nan]).build()
    assert build_document(diagnosis(trace)).loss == "Loss: 1 → nan, not finite from step 2 on."


def test_a_ledger_is_worth_showing_where_a_finding_rests_on_it_or_the_gradient_moves():
    even = TraceBuilder(steps=300).mlp(4).ledger(activation=-0.4).build()
    other = finding("loop-order", evidence=(Evidence("steps in this order", 0.9, 0.1),))
    assert not build_document(diagnosis(even, other)).steep
    assert build_document(diagnosis(even, finding())).steep
    assert build_document(diagnosis(deep_sigmoid(), other)).steep
    assert not build_document(diagnosis(Trace(steps=3), finding())).steep


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 299, "from the first step on"),
        (12, 299, "since step 12"),
        (12, 40, "steps 12 to 40"),
        (12, 12, "at step 12"),
        (0, 256, "from the first step on"),
    ],
)
def test_when_a_finding_held(first, last, expected):
    # Step 256 is the last probe: what it shows lasts, as far as anyone can tell.
    document = build_document(diagnosis(deep_sigmoid(steps=300), finding(first_step=first, last_step=last)))
    assert document.findings[0].when == expected


def test_consequences_of_consequences_are_told_once_each():
    inner = finding("constant-output", Severity.WARNING, message="inner")
    outer = finding("saturated-activation", Severity.WARNING, message="outer", consequences=(inner,))
    block = build_document(diagnosis(deep_sigmoid(), finding(consequences=(outer,)))).findings[0]
    assert [(other.rule, other.message) for other in block.consequences] == [
        ("saturated-activation", "outer"),
        ("constant-output", "inner"),
    ]


def test_evidence_without_threshold_or_of_nan_is_still_shown():
    rows = (Evidence("loss", math.nan, None), Evidence("growth", math.inf, 3.0, "decades", "net.0"))
    block = build_document(diagnosis(deep_sigmoid(), finding(evidence=rows))).findings[0]
    assert [(row.measured, row.threshold, row.unit) for row in block.evidence] == [
        ("nan", "", ""),
        ("inf", "3", "decades"),
    ]


def test_what_the_reader_must_know_to_trust_the_report_is_noted():
    builder = TraceBuilder(steps=40).change(completed=False)
    builder.event(EventKind.SELF_DISABLED, 7, where="probe", error="OSError: disk full").event(EventKind.CLIPPED, 3)
    notes = build_document(diagnosis(builder.build(), failed_rules=("dead-units",))).notes
    assert notes == (
        "evengrad switched itself off at step 7 (probe: OSError: disk full); the run went on without it.",
        "The run was killed or is still going on: this is what was recorded until step 39.",
        "These rules failed and say nothing, for or against: dead-units.",
    )


def test_an_event_without_details_still_makes_a_note():
    trace = TraceBuilder().event(EventKind.SCRIPT_ERROR, 3).build()
    assert build_document(diagnosis(trace)).notes == ("The script ended with an error: ?.",)


@pytest.mark.parametrize(
    ("overhead", "expected"),
    [
        (Overhead(0.007, 0.01, 0.7, 100.0, 90, 9), "Watching cost 0.7 s, 0.7 % of 100 s (budget 1 %, 9 deep probes)."),
        (
            Overhead(0.3, 0.01, 0.03, 0.1, 9, 1),
            "Watching cost 0.03 s of 0.1 s; so short a run exceeds the budget of 1 %.",
        ),
        (Overhead(), "The cost of watching was not measured (budget 1 %)."),
    ],
)
def test_the_cost_of_watching_is_told(overhead, expected):
    assert build_document(diagnosis(TraceBuilder().change(overhead=overhead).build())).overhead == expected


def test_the_weight_of_a_layer_is_not_its_bias():
    # Autograd lists the bias first; without what is known of the parameters only the names tell.
    layer = SiteInfo("fc", "fc", "Addmm", None, ("fc.bias", "fc.weight"))
    kernel = SiteInfo("rnn", "rnn", "MkldnnRnn", None, ("rnn.b", "rnn.w"))
    known = (ParamInfo("rnn.b", (8,), "float32"), ParamInfo("rnn.w", (8, 8), "float32"))
    assert weights(Trace(layers=(layer, kernel))) == {"fc": "fc.weight", "rnn": "rnn.b"}
    assert weights(Trace(layers=(layer, kernel, SiteInfo("x", "x", "Mul")), parameters=known))["rnn"] == "rnn.w"


def test_settings_that_do_nothing_are_not_told():
    trace = TraceBuilder().optimizer("SGD", lr=0.0, momentum=0.9, dampening=0.0, nesterov=0.0).build()
    table = next(table for table in build_document(diagnosis(trace)).tables if table.title == "Optimizers")
    assert table.rows[0][2] == "lr=0, momentum=0.9"


def test_units_are_said_in_the_readers_language():
    made = diagnosis(deep_sigmoid(), finding())
    units = [build_document(made, lang).findings[0].evidence[0].unit for lang in ("en", "zh-TW")]
    assert units == ["decades", "數量級"]


def test_the_model_itself_has_a_name():
    block = build_document(diagnosis(deep_sigmoid(), finding(modules=("",)))).findings[0]
    assert block.modules == ("Net",)


def test_a_document_in_chinese_says_everything_of_ours_in_chinese():
    document = build_document(diagnosis(deep_sigmoid(), finding(cause=Cause(CauseKind.DEAD_UNITS, 0.5, ""))), "zh-TW")
    told = (
        document.headline,
        document.depth,
        document.loss,
        document.next_step,
        document.overhead,
        document.ledger.sentence,
    )
    told += (document.bars.title, document.findings[0].title, document.findings[0].first, document.findings[0].cause)
    assert [text for text in told if not any("一" <= character <= "鿿" for character in text)] == []
