from __future__ import annotations

import re

import pytest

from evengrad.core.trace import Trace
from evengrad.reports.document import build_document
from evengrad.reports.markdown import render_markdown
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding, healthy_mlp
from tests.reports.hostile import hostile_diagnosis


def rendered(made, lang: str = "en") -> str:
    return render_markdown(build_document(made, lang))


def outside_code(text: str) -> str:
    """Return a document without its fenced blocks and code spans."""
    text = re.sub(r"^```text\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_the_finding_and_its_evidence_are_told():
    text = rendered(diagnosis(deep_sigmoid(), finding()))
    assert text.startswith("# evengrad: sick\n\n**1 error in 300 steps of digits\\_sigmoid.py.**\n")
    assert "## error: Vanishing gradient (`vanishing-gradient`)" in text
    assert "| attenuation across depth | net.0 | -5.4 | -4 | decades |" in text
    assert "sigmoid derivatives -4.9, weights -0.5." in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_tables_have_as_many_cells_in_every_row():
    text = rendered(diagnosis(deep_sigmoid(), finding()))
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_hostile_strings_are_neither_html_nor_markdown():
    text = outside_code(rendered(hostile_diagnosis()))
    assert not re.search(r"(?<!\\)[<>]", text)
    assert not re.search(r"(?<!\\)\[bold", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "\x1b" not in text
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@pytest.mark.parametrize("name", ["a`b", "``", "`", "a``b`c"])
def test_a_name_with_backticks_stays_one_code_span(name):
    made = diagnosis(TraceBuilder(steps=300).build(), finding(modules=(name,), source=()))
    line = next(line for line in rendered(made).splitlines() if line.startswith("- **where**"))
    fence = re.match(r"- \*\*where\*\*: (`+) ", line)[1]
    assert fence not in name
    assert line.endswith(f" {fence}")
    assert name in line


@pytest.mark.parametrize("message", ["1. a list", "- a list", "+ a list"])
def test_a_message_does_not_begin_a_list(message):
    assert f"\n{message}\n" not in rendered(diagnosis(deep_sigmoid(), finding(message=message)))


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize("made", [diagnosis(healthy_mlp()), diagnosis(Trace())], ids=["healthy", "unknown"])
def test_a_run_without_a_fault_is_short(made, lang):
    text = rendered(made, lang)
    assert "```" not in text
    assert {"en": "# evengrad: ", "zh-TW": "# evengrad: "}[lang] in text
