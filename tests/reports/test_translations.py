"""Whatever rules there are: everything they say can be said in Traditional Chinese."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import string
from importlib.resources import files

import pytest

from evengrad.core.discover import catalogue
from evengrad.reports.findings import rule_about, rule_title
from evengrad.reports.text import LANGUAGES, texts

RULES = sorted(catalogue("evengrad.rules"))


def translations(rule: str) -> dict[str, str]:
    path = files("evengrad.reports") / "locale" / "zh_TW" / f"{rule}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def quantities(rule: str) -> set[str]:
    """Return the phrases that a rule, or a helper that makes evidence for it, gives to ``Evidence`` as literals."""
    module = catalogue("evengrad.rules")[rule]
    trees = [ast.parse(inspect.getsource(module))]
    imported = [node.module for node in trees[0].body if isinstance(node, ast.ImportFrom) and node.module]
    helpers = [name for name in imported if name.startswith("evengrad.rules._") and name != "evengrad.rules._base"]
    trees += [ast.parse(inspect.getsource(importlib.import_module(name))) for name in helpers]
    return {phrase for tree in trees for node in ast.walk(tree) for phrase in phrases(node)}


def phrases(node: ast.AST) -> set[str]:
    """Return the literal phrases in the first argument of ``Evidence(…)``, or in what is assigned to ``quantity``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Evidence" and node.args:
        value = node.args[0]
    elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "quantity" for t in node.targets):
        value = node.value
    else:
        return set()
    return {part.value for part in ast.walk(value) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_the_seventeen_rules_of_the_contract_have_titles():
    contract = (
        "vanishing-gradient exploding-gradient saturated-activation dead-units non-finite gradient-spike "
        "bad-initialisation input-scale target-scale update-too-large update-too-small precision-loss no-gradient "
        "loop-order clipping-saturated constant-output loss-scale-collapse"
    ).split()
    assert len(contract) == 17
    for lang in LANGUAGES:
        assert [
            rule for rule in contract if rule_title(rule, texts(lang)) == rule or not rule_about(rule, texts(lang))
        ] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_title_and_two_sentences_in_each_language(rule):
    for lang in LANGUAGES:
        assert rule_title(rule, texts(lang)) != rule
        assert rule_about(rule, texts(lang))


@pytest.mark.parametrize("rule", RULES)
def test_every_message_is_translated_with_the_blanks_it_can_fill(rule):
    messages, translated = catalogue("evengrad.rules")[rule].RULE.messages, translations(rule)
    assert sorted(set(messages) - set(translated)) == []
    assert {
        key: blanks(translated[key]) - blanks(text)
        for key, text in messages.items()
        if blanks(translated[key]) - blanks(text)
    } == {}


@pytest.mark.parametrize("rule", RULES)
def test_every_measured_quantity_is_translated(rule):
    assert sorted(phrase for phrase in quantities(rule) if f"quantity:{phrase}" not in translations(rule)) == []


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_translated_that_no_rule_says(rule):
    messages = catalogue("evengrad.rules")[rule].RULE.messages
    assert sorted(key for key in translations(rule) if not key.startswith("quantity:") and key not in messages) == []
