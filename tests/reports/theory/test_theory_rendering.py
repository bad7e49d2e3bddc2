"""The picture as HTML, JSON and on a terminal."""

from __future__ import annotations

import functools
import io
import json
import math

import pytest
from rich.cells import cell_len
from rich.console import Console

from evengrad.reports.charts import Chart
from evengrad.reports.text import texts
from evengrad.reports.theory import (
    build_theory_document,
    render_theory_html,
    render_theory_json,
    render_theory_terminal,
)
from evengrad.reports.theory.charts import theory_charts
from evengrad.reports.theory.wording import BOOK
from evengrad.theory import Activation, picture
from tests.reports.test_html import Page

pictured = functools.cache(picture)


def drawn(name: str, lang: str = "en", *, encoding: str = "utf-8", width: int = 100, depth: int = 30) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(file=stream, width=width, color_system=None)
    render_theory_terminal(build_theory_document(pictured(name, depth=depth), lang), console)
    stream.flush()
    return raw.getvalue().decode(encoding)


def chart(name: str, id_: str, **options: float) -> Chart:
    return next(one for one in theory_charts(picture(name, **options), texts("en", BOOK)) if one.id == f"chart-{id_}")


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_the_first_line_is_the_answer(lang: str) -> None:
    text = drawn("tanh", lang)
    headline = build_theory_document(picture("tanh", depth=30), lang).headline
    assert "".join(text.split()).startswith("".join(headline.split()))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_no_line_is_wider_than_the_terminal(width: int, lang: str) -> None:
    assert max(cell_len(line) for line in drawn("gelu", lang, width=width).splitlines()) <= width


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_an_old_encoding_gets_ascii_and_english(lang: str) -> None:
    text = drawn("gelu", lang, encoding="ascii")
    assert "####" in text
    assert text.startswith("A plain 30-layer gelu net")


def test_bars_shrink_with_the_gradient() -> None:
    lines = drawn("relu", depth=10).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("By layer"))
    blocks = [line[:30].count("█") for line in lines[start + 3 : start + 13]]
    assert len(blocks) == 10
    assert blocks == sorted(blocks)
    assert blocks[0] < blocks[-1]


def test_the_page_is_well_formed_and_asks_for_nothing() -> None:
    for lang, code in (("en", "en"), ("zh-TW", "zh-Hant-TW")):
        seen = Page(render_theory_html(build_theory_document(pictured("gelu", depth=12), lang)))
        assert seen.open == []
        assert seen.named("html") == [{"lang": code}]
        assert not [name for name, _ in seen.elements if name in {"link", "img", "iframe", "object", "form"}]
        assert not [a for _, attributes in seen.elements for a in attributes if a == "src" or a.startswith("on")]
        assert {figure["id"] for figure in seen.figures} == {
            "chart-gradient", "chart-variance", "chart-correlation", "chart-variance-map", "chart-correlation-map",
        }  # fmt: skip


def test_hostile_names_stay_text() -> None:
    tanh = picture("tanh", depth=3).activation
    hostile = Activation("<script>alert(1)</script>", tanh.value, tanh.derivative)
    seen = Page(render_theory_html(build_theory_document(picture(hostile, depth=3))))
    assert len(seen.scripts) == 3
    assert "<script>alert(1)</script>" in seen.text


def test_charts_draw_what_theory_says() -> None:
    gradient = chart("relu", "gradient", depth=20)
    default = next(trace for trace in gradient.traces if trace["name"] == "PyTorch default")
    assert default["y"][0] == pytest.approx(19 * math.log10(1 / 6) / 2, rel=1e-5)
    assert default["y"][-1] == 0
    variance = chart("tanh", "variance-map", depth=5)
    points = next(trace for trace in variance.traces if trace["name"] == "fixed points")
    assert points["x"] == pytest.approx([1.0], rel=1e-6)
    correlation = chart("relu", "correlation-map", depth=5)
    critical = next(trace for trace in correlation.traces if trace["name"] == "critical")
    assert critical["y"][0] == pytest.approx(1 / math.pi, rel=1e-5)  # Cho and Saul, NeurIPS 2009
    assert critical["y"][-1] == pytest.approx(1)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "hardshrink"])
def test_every_chart_is_one_that_plotly_takes_with_a_table_beside_it(name: str) -> None:
    from plotly.graph_objects import Figure

    for one in theory_charts(pictured(name, depth=450 if name == "sigmoid" else 40), texts("en", BOOK)):
        json.dumps([one.traces, one.layout], allow_nan=False)
        Figure(data=one.traces, layout=one.layout)  # refuses properties that do not exist
        assert all(len(trace["x"]) <= 400 for trace in one.traces)
        assert one.table.rows
        assert all(len(row) == len(one.table.columns) for row in one.table.rows)


@pytest.mark.parametrize("name", ["gelu", "sigmoid", "hardshrink", "relu"])
def test_json_says_the_picture_in_numbers(name: str) -> None:
    found = picture(name, depth=50, width=64)
    said = json.loads(render_theory_json(found))
    assert said["schema"] == "evengrad.theory/1"
    assert said["activation"] == name
    assert said["gradient_factor"] == found.gradient_factor
    assert said["critical"]["feasible"] == found.critical.feasible
    assert [row["outlook"] for row in said["comparison"]] == [row.outlook.value for row in found.comparison]
    assert all(len(row["layers"]["q"]) == 50 for row in said["comparison"])
    assert said["depth_scales"]["gradient"] == (None if math.isinf(s := found.depth_scales.gradient) else s)
