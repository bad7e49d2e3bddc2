from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from evengrad.core.event import EventKind
from evengrad.core.finding import Severity
from evengrad.core.trace import Trace
from evengrad.reports.document import build_document
from evengrad.reports.glyphs import Glyphs, can_show, glyphs_for
from evengrad.reports.terminal import render_terminal
from tests.builders import TraceBuilder, deep_sigmoid, diagnosis, finding, healthy_mlp
from tests.reports.hostile import hostile_diagnosis

LONG = "The gradient falls by 5.4 decades from `net.18` back to `net.0`, and forward all samples look the same. " * 2


def drawn(
    made, width: int = 100, lang: str = "en", encoding: str = "utf-8", colour: bool = False, **options
) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=stream, width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    render_terminal(build_document(made, lang, **options), console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding).splitlines()


def sick(depth: int = 40, findings: int = 1):
    others = [finding("dead-units", Severity.WARNING, message=LONG) for _ in range(findings - 1)]
    consequence = finding("saturated-activation", Severity.WARNING)
    return diagnosis(deep_sigmoid(depth), finding(message=LONG, consequences=(consequence,)), *others)


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("findings", [1, 2, 5, 17])
def test_a_report_fits_one_screen(width, findings, lang):
    lines = drawn(sick(findings=findings), width, lang)
    assert len(lines) <= 40
    assert max(cell_len(line) for line in lines) <= min(width, 100)


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_loses_no_message(width):
    text = " ".join("".join(drawn(sick(4), width)).split())
    assert "sick" in text.lower()
    assert "explain" in text


def test_the_verdict_comes_first_and_the_finding_says_what_to_do():
    lines = drawn(sick())
    assert lines[0] == "evengrad [SICK] 1 error in 300 steps of digits_sigmoid.py."
    text = "\n".join(lines)
    for told in (
        "error vanishing-gradient  Vanishing gradient · from the first step on",
        "digits_sigmoid.py:12",
        "activation derivatives, 90 %",
        "saturated-activation",
        "Replace sigmoid in the hidden layers by tanh",
        "evengrad explain vanishing-gradient",
        "decades between `net.78` and `net.0`: sigmoid derivatives",
    ):
        assert told in text


def test_a_healthy_run_is_told_in_four_lines():
    lines = drawn(diagnosis(healthy_mlp()), html_path="report.html")
    assert len(lines) <= 4
    assert lines[0] == "evengrad [HEALTHY] No fault found in 100 steps of train.py."
    assert "Gradient across depth: -0.2 decades" in lines[1]


def test_what_is_worth_knowing_of_a_healthy_run_is_one_line_each():
    made = diagnosis(healthy_mlp(), finding("input-scale", Severity.INFO, message="The inputs have size 0.3."))
    assert "info input-scale  The inputs have size 0.3." in drawn(made)


def test_no_step_is_said_plainly():
    lines = drawn(diagnosis(Trace(script="eval.py")))
    assert lines[0].startswith("evengrad [UNKNOWN] No optimizer step was seen in eval.py")
    assert "optimizer.step()" in "".join(lines)


def test_notes_reach_the_reader_in_every_verdict():
    note = "evengrad switched itself off at step 7"
    for base in (healthy_mlp(), deep_sigmoid(4)):
        builder = TraceBuilder().change(**base.__dict__).event(EventKind.SELF_DISABLED, 7, where="a", error="b")
        assert note in "\n".join(drawn(diagnosis(builder.build())))
        assert note in "\n".join(drawn(diagnosis(builder.build(), finding())))


def test_where_the_html_report_is_stands_at_the_end():
    assert any(
        line.strip() == "report .evengrad/run/report.html"
        for line in drawn(sick(), html_path=".evengrad/run/report.html")
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "cp950"])
def test_an_old_encoding_gets_ascii_not_an_error(encoding):
    lines = drawn(sick(), encoding=encoding)
    assert "#####" in "\n".join(lines)
    assert not set("".join(lines)) & set("█▌◄→…·⋮")
    assert "?" not in "".join(lines)


def test_chinese_on_a_terminal_without_chinese_is_said_in_english():
    assert drawn(sick(), lang="zh-TW", encoding="cp437")[0].startswith("evengrad [SICK]")
    assert drawn(sick(), lang="zh-TW", encoding="cp950")[0].startswith("evengrad [異常]")


def test_without_colour_nothing_but_text_is_written():
    assert "\x1b" not in "".join(drawn(sick()))
    assert "\x1b" in "".join(drawn(sick(), colour=True))


@pytest.mark.parametrize("colour", [False, True])
def test_names_cannot_steer_the_terminal_or_the_markup(colour):
    text = "\n".join(drawn(hostile_diagnosis(), colour=colour))
    assert not re.search("\x1b(?!\\[[0-9;]*m)", text)
    assert "\u202e" not in text
    assert "\x07" not in text
    assert ":skull:" in text
    assert "[/]" in text


def test_an_even_gradient_gets_a_sentence_not_a_ledger():
    trace = TraceBuilder(steps=300).mlp(4).ledger(activation=-0.4).build()
    made = finding("loop-order", evidence=(), modules=(), parameters=("net.0.weight", "net.2.weight"))
    text = "\n".join(drawn(diagnosis(trace, made)))
    assert "Gradient across depth: -0.4 decades" in text
    assert "Who changed the gradient" not in text


def test_a_line_of_the_users_code_goes_before_the_names_of_all_parameters():
    parameters = tuple(f"net.{index}.weight" for index in range(9))
    with_line = "\n".join(drawn(diagnosis(deep_sigmoid(3), finding(modules=(), parameters=parameters))))
    without = "\n".join(drawn(diagnosis(deep_sigmoid(3), finding(modules=(), parameters=parameters, source=()))))
    assert "net.1.weight" not in with_line
    assert "net.0.weight, net.1.weight, net.2.weight, 6 more" in without


def test_long_names_keep_both_ends():
    name = "transformer.h." + "very_long_name." * 12 + "mlp.c_proj"
    made = diagnosis(TraceBuilder(steps=300).layers(name, "b").ledger(weight=-6.0).build(), finding(modules=(name,)))
    text = "\n".join(drawn(made))
    assert "transformer.h." in text
    assert "mlp.c_proj" in text


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, "▏"), (0.5, "█████"), (1.0, "██████████"), (0.55, "█████▌"), (7.0, "██████████")]
)
def test_bars_are_drawn_to_an_eighth_of_a_cell(fraction, expected):
    assert Glyphs().bar(fraction, 10) == expected


def test_an_encoding_nobody_knows_is_treated_as_ascii():
    assert glyphs_for("no-such-encoding").fit("→ 層") == "-> ?"
    assert not can_show("zh-TW", "no-such-encoding")
