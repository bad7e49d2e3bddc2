"""A rule's page says everything that its class says, and the written pages are those."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from evengrad.cli.main import parse
from evengrad.cli.pages import page, summary
from evengrad.diagnosis.diagnose import catalogue_rules

ROOT = Path(__file__).resolve().parents[2]
RULES = catalogue_rules()


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


def test_explain_prints_the_page_and_lists_all_rules(capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["explain", "dead-units"]) == 0
    assert capfd.readouterr().out == page(RULES["dead-units"])
    assert parse(["explain"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in RULES)


def test_written_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("rule_pages", ROOT / "tools" / "rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.outdated() == []
