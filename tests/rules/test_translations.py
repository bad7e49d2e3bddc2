"""Every sentence of a rule exists in Traditional Chinese, with the same blanks; so does every quantity."""

from __future__ import annotations

import ast
import json
import string
from importlib.resources import files
from pathlib import Path

import pytest

from evengrad.core.discover import catalogue
from evengrad.rules import vanishing_gradient

RULES = catalogue("evengrad.rules")
SHARED = {"vanishing-gradient": ("_consequence",)}


def translated(rule: str) -> dict[str, str]:
    path = files("evengrad.reports") / "locale" / "zh_TW" / f"{rule}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def quantities(module: str) -> set[str]:
    """Return the phrases that a module's source gives to evidence, directly or by way of a variable."""
    tree = ast.parse((Path(vanishing_gradient.__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Evidence"]
    first = [call.args[0] for call in calls if call.args]
    named = {node.id for node in first if isinstance(node, ast.Name)}
    assigned = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in named for t in node.targets)
    ]
    return {n.value for n in (*first, *assigned) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("rule", RULES)
def test_every_sentence_is_translated_with_the_same_blanks(rule: str) -> None:
    english = RULES[rule].RULE.messages
    chinese = {key: text for key, text in translated(rule).items() if not key.startswith("quantity:")}
    assert chinese.keys() == english.keys()
    assert {key: blanks(text) for key, text in chinese.items()} == {key: blanks(text) for key, text in english.items()}


@pytest.mark.parametrize("rule", RULES)
def test_every_quantity_is_translated(rule: str) -> None:
    modules = (rule.replace("-", "_"), *SHARED.get(rule, ()))
    wanted = set().union(*(quantities(module) for module in modules))
    assert wanted <= {key.partition(":")[2] for key in translated(rule) if key.startswith("quantity:")}
