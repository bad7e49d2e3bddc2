"""Every sentence of these rules can be said in both languages."""

from __future__ import annotations

import importlib
import json
import re
import string
from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest

RULES = (
    "non_finite", "gradient_spike", "input_scale", "target_scale", "update_too_large", "precision_loss", "loop_order",
    "clipping_saturated", "loss_scale_collapse",
)  # fmt: skip


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("name", RULES)
def test_translation_has_every_sentence_with_the_same_blanks(name: str) -> None:
    module = importlib.import_module(f"evengrad.rules.{name}")
    path = resources.files("evengrad.reports") / "locale" / "zh_TW" / f"{name.replace('_', '-')}.json"
    translated = json.loads(path.read_text(encoding="utf-8"))
    phrases = set(re.findall(r'Evidence\(\s*"([^"]+)"', Path(module.__file__).read_text(encoding="utf-8")))
    assert set(translated) == {*module.RULE.messages, *(f"quantity:{phrase}" for phrase in phrases)}
    for key, template in module.RULE.messages.items():
        assert blanks(translated[key]) == blanks(template), key
        own = {"kind", "share", "key"} if key.startswith("cause") else {"key"}
        assert not own & blanks(template), "a blank that AbstractRule's own argument hides"


@pytest.mark.parametrize("name", RULES)
def test_page_of_a_rule_has_every_section_and_every_threshold(name: str) -> None:
    rule = importlib.import_module(f"evengrad.rules.{name}").RULE
    page = type(rule).__doc__
    for section in ("What it measures:", "Why it hurts:", "When it misleads:", "Thresholds:", "Source:"):
        assert section in page
    thresholds = page.partition("Thresholds:")[2]
    for field in fields(rule):
        assert re.search(rf"\b{field.name}\b", thresholds), field.name
