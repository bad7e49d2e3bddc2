from __future__ import annotations

import json
from importlib.resources import files

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import Advice, Cause, CauseKind
from evengrad.core.info import ModuleInfo
from evengrad.core.ledger import TimeProfile
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies._init import suits
from evengrad.reports.actions import BY_ACTIVATION, BY_CAUSE, BY_CAUSE_KEY, BY_RULE, BY_RULE_AND_CAUSE, LOOP
from evengrad.reports.advice import first_action
from evengrad.reports.text import LANGUAGES, texts
from tests.builders import TraceBuilder, deep_sigmoid, finding

REMEDIES = set(catalogue_remedies())
EN = texts("en")
CASES = [
    *((rule, kind, "") for rule in ("vanishing-gradient", "exploding-gradient") for kind in CauseKind),
    *((rule, kind, "") for rule, kind in BY_RULE_AND_CAUSE),
    *((key.partition(".")[0], CauseKind.LOSS_NUMERICS, key) for key in BY_CAUSE_KEY),
]


def advise(rule: str, kind: CauseKind, trace: Trace, key: str = "", lang: str = "en") -> tuple[str, list[str]]:
    made = finding(rule, cause=Cause(kind, 1.0, "", key=key))
    sentence, remedies = first_action(made, trace, texts(lang))
    return sentence, [remedy.id for remedy in remedies]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("rule", "kind", "key"), CASES)
def test_every_cause_leads_to_a_sentence_and_known_remedies_with_reasons(rule, kind, key, lang):
    for operation in ("Relu", "Tanh", "Gelu", "Sigmoid"):
        trace = TraceBuilder().mlp(6, operation).optimizer("SGD", lr=0.1).ledger(activation=-5.0, weight=-1.0).build()
        made = finding(rule, cause=Cause(kind, 1.0, "", key=key))
        sentence, remedies = first_action(made, trace, texts(lang))
        assert not sentence.startswith("first."), sentence
        assert {remedy.id for remedy in remedies} <= REMEDIES
        assert [remedy.why for remedy in remedies if not remedy.why] == []


def test_every_cause_of_the_closed_list_has_an_action():
    assert set(BY_CAUSE) == set(CauseKind)


@pytest.mark.parametrize("rule", [*BY_RULE, "some-new-rule"])
def test_a_finding_without_cause_is_advised_by_its_rule(rule):
    sentence, _ = first_action(finding(rule, cause=None), deep_sigmoid(), EN)
    assert not sentence.startswith("first.")


def test_sigmoid_is_replaced_not_reinitialised_alone():
    sentence, remedies = advise("vanishing-gradient", CauseKind.ACTIVATION_DERIVATIVE, deep_sigmoid())
    assert sentence.startswith("Replace sigmoid in the hidden layers by tanh")
    assert remedies == ["tanh", "xavier-init", "relu", "he-init"]


def test_relu_is_never_replaced_by_relu():
    trace = TraceBuilder().mlp(20, "Relu").ledger(activation=-3.0, weight=-4.0).build()
    sentence, remedies = advise("vanishing-gradient", CauseKind.ACTIVATION_DERIVATIVE, trace)
    assert "kaiming_normal_" in sentence
    assert "relu" not in remedies
    assert remedies[0] == "he-init"


def test_saturated_tanh_gets_smaller_weights():
    trace = TraceBuilder().mlp(20, "Tanh").ledger(activation=-8.0, weight=3.0).build()
    _, remedies = advise("vanishing-gradient", CauseKind.ACTIVATION_DERIVATIVE, trace)
    assert remedies[0] == "xavier-init"


@pytest.mark.parametrize("kind", [CauseKind.WEIGHT_SCALE_LARGE, CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM])
def test_explosion_across_depth_is_never_answered_with_clipping_or_l2(kind):
    trace = TraceBuilder().mlp(20, "Relu").ledger(activation=-3.0, weight=9.0).build()
    _, remedies = advise("exploding-gradient", kind, trace)
    assert remedies
    assert not {"clip-norm", "clip-value", "adaptive-clip", "l2", "weight-decay"} & set(remedies)


def test_time_is_answered_by_direction():
    trace = (
        TraceBuilder()
        .change(modules=(ModuleInfo("lstm", "LSTM"),), time_profiles=(TimeProfile(0, "lstm", "hidden", 50 * (1.0,)),))
        .optimizer("Adam", lr=1e-3)
        .build()
    )
    assert advise("exploding-gradient", CauseKind.RECURRENT_JACOBIAN, trace)[1][:2] == ["clip-norm", "orthogonal-init"]
    assert advise("vanishing-gradient", CauseKind.RECURRENT_JACOBIAN, trace)[1] == ["forget-bias", "orthogonal-init"]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("Relu", "he-init"), ("LeakyRelu", "he-init"), ("Tanh", "xavier-init"), ("Gelu", "lsuv-init")],
)
def test_the_initialisation_suits_the_activation_in_use(operation, expected):
    trace = TraceBuilder().mlp(6, operation).build()
    assert suits(trace) == expected
    assert expected in advise("vanishing-gradient", CauseKind.WEIGHT_SCALE_SMALL, trace)[1][:2]


def test_the_learning_rate_is_named_as_it_was_when_the_fault_began():
    trace = TraceBuilder(steps=100).mlp(3).optimizer("SGD", lr=0.5).build()
    trace = (
        TraceBuilder(steps=100)
        .mlp(3)
        .optimizer("SGD")
        .series(Statistic.LEARNING_RATE, "0/0", [0.5, 0.02], steps=[0, 50])
        .build()
    )
    for step, shown in ((10, "0.5 → 0.05"), (60, "0.02 → 0.002")):
        made = finding("update-too-large", cause=Cause(CauseKind.LEARNING_RATE_HIGH, 1.0, ""), first_step=step)
        assert shown in first_action(made, trace, EN)[0]


def test_a_learning_rate_that_is_unknown_or_zero_is_not_multiplied():
    unknown, _ = advise("update-too-small", CauseKind.LEARNING_RATE_LOW, TraceBuilder().mlp(3).build())
    assert "→" not in unknown
    zero, _ = advise(
        "update-too-small", CauseKind.LEARNING_RATE_LOW, TraceBuilder().mlp(3).optimizer("SGD", lr=0.0).build()
    )
    assert "learning rate is 0" in zero


def test_an_epsilon_that_is_zero_is_not_lowered():
    sentence, remedies = advise("non-finite", CauseKind.OPTIMIZER_EPSILON, deep_sigmoid(), "non-finite.cause-epsilon")
    assert "lower-eps" not in remedies
    assert "raise" in sentence


@pytest.mark.parametrize("kind", LOOP)
def test_each_fault_of_the_loop_has_its_own_sentence(kind):
    made = finding("loop-order", cause=Cause(CauseKind.LOOP_ORDER, 1.0, ""), message_key=f"loop-order.{kind.value}")
    sentence, _ = first_action(made, Trace(), EN)
    assert sentence == EN.say(f"first.loop-order.{kind.value}")
    assert not sentence.startswith("first.")


def test_a_fault_of_the_loop_is_told_by_its_event_when_the_finding_names_none():
    trace = TraceBuilder().event(EventKind.CLIP_AFTER_STEP, 3).event(EventKind.DOUBLE_STEP, 7).build()
    made = finding("loop-order", cause=None, first_step=7)
    assert first_action(made, trace, EN)[0] == EN.say("first.loop-order.double-step")


def test_advice_of_a_finding_goes_before_the_table():
    made = finding(advice=(Advice("selu", "measured"),))
    assert [(remedy.id, remedy.why) for remedy in first_action(made, deep_sigmoid(), EN)[1]] == [("selu", "measured")]


def test_every_sentence_of_the_table_is_used():
    used = {
        action.key
        for table in (BY_CAUSE, BY_RULE_AND_CAUSE, BY_CAUSE_KEY, BY_RULE, BY_ACTIVATION)
        for action in table.values()
    }
    used |= {f"loop-order.{kind.value}" for kind in LOOP}
    path = files("evengrad.reports") / "locale" / "en" / "_report.json"
    written = {key.removeprefix("first.") for key in json.loads(path.read_text()) if key.startswith("first.")}
    variants = {
        f"{key}.{suffix}" for key in used for suffix in ("unknown", "zero", "he-init", "xavier-init", "lsuv-init")
    }
    assert sorted(written - used - variants) == []
