from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import Severity
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.reports.document import build_document
from evengrad.reports.html import render_html
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding, healthy_mlp
from tests.reports.hostile import ALL, hostile_diagnosis

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """A page as its elements: what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def figures(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "evengrad-figures"))


def page(made, lang: str = "en") -> Page:
    return Page(render_html(build_document(made, lang)))


def rich_trace(depth: int = 12) -> Trace:
    builder = TraceBuilder().change(**deep_sigmoid(depth).__dict__)
    builder.per_activation(Statistic.DEAD, 0.1).time_profile("lstm", [10.0**-index for index in range(30)])
    return builder.event(EventKind.NON_FINITE_LOSS, 120, count=3).build()


SICK = diagnosis(rich_trace(), finding(consequences=(finding("dead-units", Severity.WARNING),)))


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize(
    "made",
    [SICK, diagnosis(healthy_mlp()), diagnosis(Trace()), hostile_diagnosis()],
    ids=["sick", "healthy", "unknown", "hostile"],
)
def test_every_page_is_well_formed_and_asks_for_nothing(made, lang):
    seen = page(made, lang)
    assert seen.open == []
    assert seen.named("html") == [{"lang": {"en": "en", "zh-TW": "zh-Hant-TW"}[lang]}]
    assert {name for name, _ in seen.elements} & {"link", "img", "iframe", "object", "embed", "base", "form", "a"} <= {
        "a"
    }
    for _, attributes in seen.elements:
        assert not {"src", "srcset", "action", "data", "poster", "background"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
        assert "url(" not in attributes.get("style", "")


def test_the_policy_allows_the_pages_own_scripts_and_nothing_else():
    seen = page(SICK)
    policy = next(meta["content"] for meta in seen.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    run = [text for attributes, text in seen.scripts if attributes.get("type") != "application/json"]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert sorted(rules["script-src"].split()) == sorted(f"'sha256-{each}'" for each in hashes)


def test_a_page_without_charts_runs_no_script():
    seen = page(diagnosis(Trace()))
    assert seen.scripts == []
    assert "script-src 'none'" in str(seen.named("meta"))


def test_hostile_strings_stay_text():
    seen = page(hostile_diagnosis())
    honest = page(SICK)
    assert len(seen.scripts) == len(honest.scripts)
    assert "<script>alert(1)</script>" in seen.text
    assert "[bold red]x[/]" in seen.text
    assert "{{ 7*7 }}" in seen.text
    assert "\x1b" not in seen.text
    assert "\u202e" not in seen.text


def test_plotly_gets_no_markup_from_the_run():
    def strings(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (text for each in value.values() for text in strings(each))
        elif isinstance(value, list):
            yield from (text for each in value for text in strings(each))

    ours = {"<br>", "<extra></extra>"}
    for text in strings(page(hostile_diagnosis()).figures):
        for mark in ours:
            text = text.replace(mark, "")
        assert "<" not in text, text


def test_the_data_block_cannot_be_left():
    raw = render_html(build_document(hostile_diagnosis()))
    block = re.search(r'id="evengrad-figures">(.*?)</script>', raw, re.DOTALL)[1]
    assert not set(block) & set("<>&\u2028\u2029")
    assert ALL[0].replace("<", "&lt;").replace(">", "&gt;")[:12] in json.dumps(json.loads(block))


def test_charts_have_a_figure_a_place_and_a_table():
    seen = page(SICK)
    places = [attributes for attributes in seen.named("div") if attributes.get("class") == "chart"]
    wanted = ["chart-gradient", "chart-ledger", "chart-time", "chart-loss", "chart-update", "chart-units"]
    assert [place["id"] for place in places] == wanted
    assert [figure["id"] for figure in seen.figures] == wanted
    assert all(place["role"] == "img" and place["aria-label"] for place in places)
    assert len(seen.named("figure")) == len(wanted)
    assert len(seen.named("caption")) >= len(wanted)


def test_tables_say_what_their_headers_head():
    seen = page(SICK)
    assert all(attributes.get("scope") in ("col", "row") for attributes in seen.named("th"))
    regions = [attributes for attributes in seen.named("div") if attributes.get("role") == "region"]
    assert all(region["aria-label"] and region["tabindex"] == "0" for region in regions)
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in seen.elements if "aria-labelledby" in attributes} <= set(
        ids
    )


def test_the_waterfall_adds_up_to_the_attenuation():
    for depth in (4, 30, 400):
        trace = rich_trace(depth)
        figure = next(one for one in page(diagnosis(trace, finding())).figures if one["id"] == "chart-ledger")
        assert sum(figure["traces"][0]["y"]) == pytest.approx(trace.ledgers[0].attenuation, rel=1e-4)
        assert len(figure["traces"][0]["y"]) <= 61


def test_module_names_of_digits_are_not_read_as_numbers():
    trace = TraceBuilder().layers("0", "2", "4").per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-4, last=1.0).build()
    axis = page(diagnosis(trace)).figures[0]["layout"]["yaxis"]
    assert axis["type"] == "category"
    assert axis["ticktext"] == ["0", "2", "4"]


def test_even_gradients_are_drawn_in_even_colours():
    trace = TraceBuilder().mlp(4).per_layer(Statistic.GRAD_OUTPUT_NORM, first=0.01, last=0.02).build()
    heat = page(diagnosis(trace)).figures[0]["traces"][0]
    assert heat["zmax"] - heat["zmin"] >= 3.0


def test_what_is_not_finite_is_a_gap():
    trace = (
        TraceBuilder(steps=3)
        .mlp(2)
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=float("nan"), last=float("nan"))
        .build()
    )
    trace = (
        TraceBuilder().change(**trace.__dict__).series(Statistic.LOSS, "", [1.0, float("nan"), float("inf")]).build()
    )
    gradient, loss = page(diagnosis(trace)).figures
    assert {value for row in gradient["traces"][0]["z"] for value in row} == {None}
    assert loss["traces"][0]["y"] == [1.0, None, None]


def test_a_long_run_keeps_its_peaks():
    trace = TraceBuilder(steps=20_000).series(Statistic.LOSS, "", lambda step: 900.0 if step == 12_345 else 1.0).build()
    line = page(diagnosis(trace)).figures[0]["traces"][0]
    assert len(line["x"]) <= 1_600
    assert (12_345, 900.0) in zip(line["x"], line["y"], strict=True)


def test_a_thousand_layers_stay_below_six_megabytes():
    builder = TraceBuilder(steps=200).change(**deep_sigmoid(1000, steps=200, per_layer=-0.01).__dict__)
    steps = list(range(0, 200, 2))
    builder.per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-9, last=1.0, steps=steps)
    builder.per_layer(Statistic.UPDATE_RATIO, first=1e-9, last=1e-3, steps=steps)
    made = diagnosis(builder.build(), finding(modules=tuple(layer.name for layer in builder.trace.layers)))
    text = render_html(build_document(made))
    assert len(text.encode()) < 6_000_000
    rows = Page(text).figures[0]["traces"][0]["y"]
    assert [rows[0], rows[-1]] == ["net.0", "net.1998"]


def test_a_chart_without_anything_to_see_is_left_out():
    for share, drawn in ((0.001, False), (0.2, True)):
        trace = TraceBuilder().mlp(4).per_activation(Statistic.DEAD, share).build()
        places = [place["id"] for place in page(diagnosis(trace)).named("div") if place.get("class") == "chart"]
        assert places == (["chart-units"] if drawn else [])


def test_the_rules_page_is_there_to_read():
    text = page(diagnosis(deep_sigmoid(), finding("vanishing-gradient"))).text
    assert "What it measures" in text
    assert "When it misleads" in text


def test_a_rule_that_nobody_wrote_has_no_page():
    assert "no-such-rule" in page(diagnosis(deep_sigmoid(), finding("no-such-rule"))).text


def test_the_same_run_gives_the_same_page():
    assert render_html(build_document(SICK)) == render_html(build_document(SICK))


def test_a_page_in_chinese_speaks_chinese():
    seen = page(SICK, "zh-TW")
    for told in ("異常", "梯度消失", "激活函數導數", "先做", "證據", "梯度帳本", "各層各步的梯度", "優化器", "環境"):
        assert told in seen.text
    for english in ("Findings", "Evidence", "Measurements", "Environment", "do first"):
        assert english not in seen.text
