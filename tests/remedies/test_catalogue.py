"""Every remedy says what it is for, in both languages, with its numbers explained."""

from __future__ import annotations

import dataclasses
import inspect
import json
import string
from importlib.resources import files

import pytest

from evengrad.core.discover import catalogue
from evengrad.core.finding import CauseKind
from evengrad.core.plan import Act, Risk
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.reports.pages import sections
from evengrad.reports.text import texts
from tests.remedies.nets import K, net, proposed, says

REMEDIES = catalogue_remedies()
RULES = set(catalogue("evengrad.rules"))
CONTRACT = (
    "xavier-init he-init orthogonal-init lsuv-init data-dependent-init relu leaky-relu prelu selu gelu silu clip-norm "
    "clip-value adaptive-clip l2 weight-decay layer-norm batch-norm residual lower-lr higher-lr warmup normalise-input "
    "normalise-target loss-eps fp32 lower-eps zero-grad unscale-before-clip reconnect forget-bias other-optimizer"
).split()
# The order of risk that the acts imply; precision and guards are settings of how a number is computed.
RISKS = {
    Act.REORDER: Risk.LOOP,
    Act.RECONNECT: Risk.LOOP,
    Act.OPTIMIZE: Risk.OPTIMIZER,
    Act.CLIP: Risk.OPTIMIZER,
    Act.WARM_UP: Risk.OPTIMIZER,
    Act.PENALISE: Risk.OPTIMIZER,
    Act.PRECISION: Risk.OPTIMIZER,
    Act.GUARD: Risk.OPTIMIZER,
    Act.SCALE: Risk.DATA,
    Act.INITIALISE: Risk.INITIALISATION,
    Act.ACTIVATE: Risk.ACTIVATION,
    Act.NORMALISE: Risk.ARCHITECTURE,
    Act.SKIP: Risk.ARCHITECTURE,
}


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_remedy_of_the_contract_exists() -> None:
    assert set(CONTRACT) <= set(REMEDIES)


def test_every_act_has_a_remedy() -> None:
    assert {remedy.act for remedy in REMEDIES.values()} == set(Act)


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_treats_faults_that_rules_can_name_each_in_one_way(name: str) -> None:
    remedy = REMEDIES[name]
    assert remedy.treats
    assert {rule for rule, _ in remedy.treats} <= RULES
    assert not remedy.cures & remedy.eases
    assert remedy.risk is RISKS[remedy.act]


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_says_nothing_of_faults_that_it_does_not_treat(name: str) -> None:
    remedy = REMEDIES[name]
    trace = net("Sigmoid", depth=12).build()
    others = [(rule, cause) for rule in RULES for cause in CauseKind if (rule, cause) not in remedy.treats]
    assert [fault for fault in others if proposed(name, trace, says(*fault))] == []


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_has_all_sections_and_explains_every_setting(name: str) -> None:
    remedy = REMEDIES[name]
    titles = [section.title for section in sections(type(remedy).__doc__ or "")]
    fields = [field.name for field in dataclasses.fields(remedy)]
    settings = ["Settings"] if fields else []
    assert titles == ["", "What it changes", "Why it helps", "When not to", *settings, "Source"]
    documented = inspect.cleandoc(type(remedy).__doc__ or "")
    assert [field for field in fields if f"    {field}: " not in documented] == []


@pytest.mark.parametrize("name", REMEDIES)
def test_every_reason_is_translated_with_the_same_blanks(name: str) -> None:
    path = files("evengrad.reports") / "locale" / "zh_TW" / f"remedy-{name}.json"
    chinese = json.loads(path.read_text(encoding="utf-8"))
    assert chinese.pop("summary") == texts("zh-TW").remedy(name)
    english = REMEDIES[name].messages
    assert {key: blanks(text) for key, text in chinese.items()} == {key: blanks(text) for key, text in english.items()}


def test_no_translation_is_left_of_a_remedy_that_is_gone() -> None:
    folder = files("evengrad.reports") / "locale" / "zh_TW"
    names = {path.name.removeprefix("remedy-").removesuffix(".json") for path in folder.iterdir()}
    assert {name for name in names if f"remedy-{name}.json" in {p.name for p in folder.iterdir()}} == set(REMEDIES)


def test_reports_give_the_reason_in_the_readers_language() -> None:
    trace = net("Relu", depth=12).build()
    finding = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)
    (change,) = proposed("he-init", trace, finding)
    advice = REMEDIES["he-init"].why(change, trace, finding)
    assert texts("en").reason(advice) == advice.why
    assert texts("zh-TW").reason(advice).startswith("使梯度經過 ReLU 層後大小不變：目前的權重會把訊號乘上 0.576 倍")
