"""What the picture of an activation says, in both languages."""

from __future__ import annotations

import functools
import json
import math
import re
import string
from importlib.resources import files

import numpy as np
import pytest

from evengrad.reports.text import LANGUAGES, texts
from evengrad.reports.theory import TheoryDocument, build_theory_document
from evengrad.reports.theory.wording import BOOK, depth_text, spaced, spoken_name
from evengrad.theory import Activation, as_activation, known_activations, picture

CANCELLED = "is expected to train with critical weights that cancel the mean"
USUAL_FAIL = "not with PyTorch's default, Xavier's or He's."

pictured = functools.cache(picture)


def made(name: str, lang: str = "en", **options: float) -> TheoryDocument:
    return build_theory_document(pictured(name, **{"depth": 50, **options}), lang)


def load(lang: str) -> dict[str, str]:
    path = files("evengrad.reports") / "locale" / LANGUAGES[lang] / f"{BOOK}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_text_is_in_both_languages_with_the_same_blanks() -> None:
    english, chinese = load("en"), load("zh-TW")
    assert english.keys() == chinese.keys()
    assert {key for key in english if blanks(english[key]) != blanks(chinese[key])} == set()


def test_translations_use_the_words_of_taiwan() -> None:
    mainland = ("默認", "信息", "數據", "反饋", "代碼", "程序", "質量", "优", "层", "网", "内", "激活层", "方差")
    assert not [key for key, text in load("zh-TW").items() for word in mainland if word in text]


@pytest.mark.parametrize(
    ("name", "depth", "sentence"),
    [
        ("tanh", 200, "is expected to train with Xavier's and critical weights; not with PyTorch's default or He's."),
        ("gelu", 4, "is expected to train with any of the initialisations compared."),
        ("relu_squared", 30, "is not expected to train with any of the initialisations compared."),
        (
            "sigmoid",
            10,
            f"{CANCELLED}; {USUAL_FAIL}",
        ),
        ("relu", 25, "is expected to train with He's; doubtful with Xavier's; not with PyTorch's default."),
        (
            "silu",
            60,
            f"{CANCELLED}; doubtful with critical weights; {USUAL_FAIL}",
        ),
    ],
)
def test_the_headline_says_what_trains(name: str, depth: int, sentence: str) -> None:
    expected = f"A plain {depth}-layer {name} net (no skips, no normalisation) {sentence}"
    assert made(name, depth=depth).headline == expected


def test_the_headline_in_chinese() -> None:
    assert made("sigmoid", "zh-TW").headline == (
        "50 層的一般 sigmoid 網路（沒有跳接，也沒有正規化）以抵銷平均值的臨界權重初始化，預期訓練得起來；"
        "以 PyTorch 預設方式、Xavier 或 He 初始化，預期訓練不起來。"
    )


def test_what_was_asked_for_comes_first() -> None:
    found = made("tanh", weight_variance=2.5, bias_variance=0.05, depth=30)
    assert found.comparison.rows[0][0] == "asked for"
    assert found.default.startswith("With the weights asked for the gradient grows by 0.8 decades")
    assert found.advice == "Nothing: at this depth the weights asked for will do."
    assert found.plot.columns[0].initialisation == "asked for"


def test_the_advice_gives_the_critical_variances() -> None:
    advice = made("tanh", depth=100).advice
    gain, bias = (float(number) for number in re.findall(r"std=([\d.]+)", advice))
    assert gain**2 == pytest.approx(2.15330, rel=1e-4)
    assert bias**2 == pytest.approx(0.15096, rel=1e-4)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_the_advice_can_be_run(name: str) -> None:
    import torch
    from torch import nn

    m = nn.Conv2d(64, 96, 3)
    torch.manual_seed(0)
    found = picture(name, depth=100)
    code = re.search(r"`(nn[^`]*)`", build_theory_document(found).advice)
    assert code is not None
    exec(code[1], {"nn": nn, "m": m})
    assert float(m.weight.detach().var()) * 576 == pytest.approx(found.initialisation.weight_variance, rel=0.02)
    assert float(m.bias.detach().std()) == pytest.approx(math.sqrt(found.initialisation.bias_variance), rel=0.2)


def test_a_mean_in_the_way_is_explained_with_a_way_round_it() -> None:
    (note,) = made("sigmoid").notes
    assert "the mean of sigmoid, 0.5, would ask for a negative bias variance (-5.5433)" in note
    assert "only at variances from 45.6 on" in note
    assert "sigmoid - 0.5, it has a stable one, weight variance 22.303 and bias variance 0.032501" in note
    assert '`evengrad.init_(model, "critical")`' in made("sigmoid").advice
    assert "at every variance" in made("softplus").notes[0]


def test_a_jump_is_named_and_nothing_promised() -> None:
    found = made("hardshrink", depth=5)
    assert "jumps (at x = -0.5, 0.5)" in found.notes[0]
    assert "expected to train with" not in found.headline.replace("not expected to train with", "")


def test_flat_functions_pass_nothing() -> None:
    found = build_theory_document(picture(lambda x: np.sign(x) * 1.0, depth=5))
    assert "is zero almost everywhere" in found.notes[0]


def test_an_unstable_variance_is_said_and_a_stable_one_is_not() -> None:
    assert "deviations grow to a hundredfold over 71 layers" in made("gelu").notes[0]
    assert made("tanh").notes == made("relu").notes == ()


def test_width_adds_the_spread_over_seeds() -> None:
    (note,) = made("relu", width=64).notes
    band = picture("relu", depth=50, width=64).propagation.band
    assert f"At width 64 a single net with critical weights may lie anywhere from {band.interval()[0]:+.1f}" in note


def test_a_very_deep_net_is_told_how_wide_to_be() -> None:
    """Seeds spread by sqrt(5 L / n) / (2 ln 10) decades at He variance (Hanin and Nica 2020): 26 units at 50 layers."""
    (note,) = made("relu", depth=400).notes
    assert "below about 210 units per layer" in note
    assert made("relu", depth=50).notes == ()


def test_the_gain_of_torch_is_judged() -> None:
    gains = dict(made("tanh").facts.rows)["gains"]
    assert "backward 1.4674" in gains
    assert "torch.nn.init.calculate_gain: 1.6667 (chi_1 = 1.2098, chaotic)" in gains
    assert "does not know it" in dict(made("gelu").facts.rows)["gains"]


def test_the_plot_runs_from_the_input_and_keeps_both_ends() -> None:
    plot = made("relu", depth=37).plot
    assert (plot.layers[0], plot.layers[-1]) == ("1", "37")
    assert len(plot.columns) == 4
    default = plot.columns[0].cells
    assert default[-1].fraction == 1
    fractions = [cell.fraction or 0 for cell in default]
    assert fractions == sorted(fractions)


def test_a_silenced_gradient_has_no_bar() -> None:
    plot = made("hardshrink", depth=50).plot
    assert plot.columns[0].cells[0].fraction is None
    assert plot.columns[0].cells[0].text == "-inf"


@pytest.mark.parametrize("name", known_activations())
def test_every_activation_has_a_document_without_a_blank(name: str) -> None:
    found = made(name, "zh-TW" if name in {"sigmoid", "hardshrink", "gelu", "softplus"} else "en", depth=6)
    said = [
        found.headline,
        found.default,
        found.advice,
        *found.notes,
        *(cell for row in found.facts.rows for cell in row),
    ]
    assert all(text and "{" not in text and "nan" not in text for text in said)
    assert all(len(row) == len(found.comparison.columns) for row in found.comparison.rows)


def test_names_carry_parameters_only_where_they_are_unusual() -> None:
    assert spoken_name(as_activation("gelu")) == "gelu"
    assert spoken_name(as_activation("leaky_relu:0.2")) == "leaky_relu(negative_slope=0.2)"
    assert spoken_name(Activation("\x1b[31mred", np.tanh, np.tanh)) == "\N{REPLACEMENT CHARACTER}[31mred"


def test_depths_say_where_they_end() -> None:
    words = texts("en", BOOK)
    assert depth_text(math.inf, 50, words) == "50+"
    assert depth_text(11.9, 50, words, unit=True) == "11 layers"
    assert depth_text(0.3, 50, words) == "none"


def test_a_space_parts_chinese_from_latin() -> None:
    assert spaced("以PyTorch預設") == "以 PyTorch 預設"
    assert spaced("a 50-layer net") == "a 50-layer net"
