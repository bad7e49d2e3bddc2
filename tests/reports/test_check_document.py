"""The report on a check: every text in every language, and every number that the result holds."""

from __future__ import annotations

import ast
import inspect
import io
import json
import string
from importlib.resources import files

import pytest
import torch
from rich.console import Console
from torch import nn

import evengrad
from evengrad.checks import check, connection, depth, start
from evengrad.checks.texts import MESSAGES
from evengrad.reports import check_document, check_tables
from evengrad.reports.check_document import build_check_document
from evengrad.reports.check_json import check_values, render_check_json
from evengrad.reports.html import render_html
from evengrad.reports.terminal import render_terminal
from tests.checks.architectures import XAVIER, Transformer, chain
from tests.reports.test_translations import phrases


def texts_of(lang: str, name: str) -> dict[str, str]:
    path = files("evengrad.reports") / "locale" / lang / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def literals(*modules: object) -> set[str]:
    """Return every string that the modules hold."""
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    return {
        n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def test_every_sentence_of_a_finding_is_translated():
    translated = texts_of("zh_TW", "check")
    assert {key for key in translated if not key.startswith("quantity:")} == set(MESSAGES)
    for key, message in MESSAGES.items():
        assert blanks(translated[key]) <= blanks(message), key


def test_every_measured_quantity_is_translated():
    trees = [ast.parse(inspect.getsource(module)) for module in (connection, depth, start)]
    said = {phrase for tree in trees for node in ast.walk(tree) for phrase in phrases(node)}
    said |= {connection._QUANTITY}
    assert {f"quantity:{phrase}" for phrase in said} == {
        k for k in texts_of("zh_TW", "check") if k.startswith("quantity:")
    }


def test_the_reports_own_texts_are_the_same_in_both_languages():
    english, chinese = texts_of("en", "_check"), texts_of("zh_TW", "_check")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert blanks(chinese[key]) == blanks(text), key


def test_every_text_is_used_and_every_note_has_one():
    english, used = texts_of("en", "_check"), literals(check_document, check_tables, check)
    families = ("headline.", "next.", "method.", "note.", "table.", "column.")
    spoken = {key for key in english if key in used or key.startswith(families)}
    assert spoken == set(english)
    notes = {key.removeprefix("note.") for key in english if key.startswith("note.")}
    assert notes <= used


@pytest.fixture(scope="module", params=["sick", "healthy"])
def result(request):
    build = chain(16, nn.Sigmoid, XAVIER) if request.param == "sick" else lambda: Transformer(2, norm_first=True)
    batch = None if request.param == "sick" else __import__("torch").randn(8, 8, 8)
    return evengrad.check(build, batch, seeds=2)


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_the_report_can_be_drawn_everywhere(result, lang):
    document = build_check_document(result, lang)
    console = Console(file=io.StringIO(), width=90, color_system=None)
    render_terminal(document, console)
    page, drawn = render_html(document), console.file.getvalue()
    assert document.headline in drawn.replace("\n", "").replace("  ", " ") or document.headline[:40] in drawn
    assert "{" not in drawn
    for table in document.tables:
        assert table.title in page
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_what_to_do_first_is_what_theory_proposes(result):
    document = build_check_document(result)
    if result.healthy:
        assert document.findings == ()
        return
    assert document.findings[0].first.startswith("No plain weight scale does it. Weights whose rows sum to zero")
    assert any(note.startswith("Or: ") for note in document.notes)


def test_json_is_strict_and_complete(result):
    values = json.loads(render_check_json(result), parse_constant=lambda name: pytest.fail(name))
    assert values["schema"] == "evengrad.check/1"
    assert values["attenuation"]["median"] == pytest.approx(result.attenuation.median)
    assert len(values["depth"]) == len(result.rows)
    assert [note["key"] for note in values["notes"]] == [note.key for note in result.notes]
    assert set(values) == set(check_values(result))


@pytest.mark.parametrize(("lang", "words"), [("en", "it goes around the others"), ("zh-TW", "其餘各層由跳接繞過")])
def test_the_depth_of_a_net_with_skips_says_that_the_path_goes_around_layers(lang, words):
    branched = evengrad.check(lambda: Transformer(4, norm_first=True), torch.randn(8, 8, 8), seeds=1)
    assert branched.trace.ledgers[0].layers < len(branched.trace.layers)
    assert words in build_check_document(branched, lang).depth
    plain = evengrad.check(chain(3, nn.Tanh, XAVIER), torch.randn(4, 64), seeds=1)
    assert words not in build_check_document(plain, lang).depth
