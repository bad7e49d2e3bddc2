"""A rule's or remedy's page says everything that its class says, and the written pages are those."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from evengrad.cli.main import parse
from evengrad.cli.pages import page, summary
from evengrad.diagnosis.diagnose import catalogue_rules
from evengrad.remedies._catalogue import catalogue_remedies

ROOT = Path(__file__).resolve().parents[2]
RULES = catalogue_rules()
REMEDIES = catalogue_remedies()


@pytest.mark.parametrize("name", RULES)
def test_page_has_every_section_and_every_threshold_with_value_and_meaning(name: str) -> None:
    rule, text = RULES[name], page(RULES[name])
    assert text.startswith(f"# {name}\n\n{summary(rule)}")
    for heading in ("What it measures", "Why it hurts", "When it misleads", "Source"):
        assert f"\n## {heading}\n\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    named = {row.split("`")[1].split(".")[0] for row in rows}
    assert named == {field.name for field in dataclasses.fields(rule)}
    assert all(len(row.split(" | ")[-1].rstrip(" |")) > 3 for row in rows), rows


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedys_page_has_every_section_and_setting_and_says_what_it_treats(name: str) -> None:
    remedy, text = REMEDIES[name], page(REMEDIES[name])
    assert text.startswith(f"# {name}\n\n{summary(remedy)}")
    for heading in ("What it changes", "Why it helps", "When not to", "Source", "What it treats"):
        assert f"\n## {heading}\n\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} == {field.name for field in dataclasses.fields(remedy)}
    assert all(len(row.split(" | ")[-1].rstrip(" |")) > 3 for row in rows), rows
    assert all(f"`{rule}`" in text for rule, _ in remedy.treats)


def test_explain_prints_the_page_and_lists_all_rules_and_remedies(capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["explain", "dead-units"]) == 0
    assert capfd.readouterr().out == page(RULES["dead-units"])
    assert parse(["explain"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in (*RULES, *REMEDIES))
    assert parse(["explain", "he-init"]) == 0
    assert capfd.readouterr().out == page(REMEDIES["he-init"])


def test_written_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("rule_pages", ROOT / "tools" / "rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.outdated() == []
