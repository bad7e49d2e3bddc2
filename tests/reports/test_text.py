from __future__ import annotations

import json
import math
import string
from importlib.resources import files

import pytest

from evengrad.core.event import EventKind
from evengrad.core.finding import Cause, CauseKind, Severity, Verdict
from evengrad.core.ledger import EntryKind
from evengrad.errors import UsageError
from evengrad.reports.text import LANGUAGES, clean, decades, number, percent, scientific, shorten, texts
from tests.builders import finding


def load(lang: str) -> dict[str, str]:
    path = files("evengrad.reports") / "locale" / LANGUAGES[lang] / "_report.json"
    return json.loads(path.read_text(encoding="utf-8"))


def blanks(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_text_of_the_report_is_in_both_languages():
    assert load("en").keys() == load("zh-TW").keys()


@pytest.mark.parametrize("key", sorted(load("en")))
def test_a_translation_has_no_blank_that_english_lacks(key):
    # A translation may leave a blank out (Chinese has no plural), never ask for one that is not filled.
    assert blanks(load("zh-TW")[key]) <= blanks(load("en")[key])


def test_translations_are_chinese_and_use_the_words_of_taiwan():
    chinese = load("zh-TW")
    same = {key for key, text in chinese.items() if text == load("en")[key] and any(c.isalpha() for c in text)}
    assert same == {"bars.time-step"}
    mainland = (
        "默認",
        "信息",
        "數據",
        "優化算法",
        "梯度裁剪",
        "反饋",
        "代碼",
        "程序",
        "質量",
        "視頻",
        "内",
        "层",
        "网",
    )
    assert not [key for key, text in chinese.items() for word in mainland if word in text]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_closed_choice_has_a_name(lang):
    words = texts(lang)
    keys = [f"cause.{kind.value}" for kind in CauseKind] + [f"kind.{kind.value}" for kind in EntryKind]
    keys += [f"event.{kind.value}" for kind in EventKind] + [f"severity.{severity.value}" for severity in Severity]
    keys += [f"verdict.{verdict.value}" for verdict in Verdict]
    assert [key for key in keys if key not in load(lang)] == []
    assert all(words.say(key) == load(lang)[key] for key in keys)


def test_an_unknown_language_is_named_with_those_there_are():
    with pytest.raises(UsageError, match=r"no language 'fr' \(there is: en, zh-TW\)"):
        texts("fr")


def test_a_text_that_nobody_wrote_is_its_key_not_an_error():
    assert texts("zh-TW").say("no.such.key", value="1") == "no.such.key"


def test_a_template_whose_blanks_are_not_given_falls_back():
    assert texts("zh-TW").say("when.since") == "when.since"


def test_a_message_without_translation_is_said_in_english():
    made = finding("no-such-rule", message_key="no-such-rule.key", values=(("a", "b"),))
    assert texts("zh-TW").message(made) == made.message
    cause = Cause(CauseKind.DATA, 1.0, "because", key="../../secrets.key")
    assert texts("zh-TW").explanation(cause) == "because"
    assert texts("zh-TW").quantity("no-such-rule", "gradient") == "gradient"


def test_clean_disarms_terminals_and_bidirectional_overrides():
    assert clean("a\x1b[31mb\u202ec\udcffd\ne\tf\x00") == "a\ufffd[31mb\ufffdc\ufffdd e f\ufffd"
    assert clean("層.0 – “ok” ×2") == "層.0 – “ok” ×2"


@pytest.mark.parametrize(("text", "width"), [("transformer.layers.11.mlp.dense", 12), ("short", 12), ("abcdef", 3)])
def test_shortened_names_fit_and_keep_both_ends(text, width):
    made = shorten(text, width)
    assert len(made) <= width
    assert made[0] == text[0]
    assert made[-1] == text[-1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.05, "0.05"),
        (1797, "1,797"),
        (1.23e-7, "1.23e-7"),
        (2e12, "2e12"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (0, "0"),
    ],
)
def test_numbers_have_three_digits(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(4e-8, "4.0e-8"), (0.0, "0"), (math.nan, "nan"), (12345.0, "1.2e4")])
def test_sizes_of_gradients_are_in_powers_of_ten(value, shown):
    assert scientific(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(-4.94, "-4.9"), (0.01, "0.0"), (-0.04, "0.0"), (12.0, "+12.0"), (-math.inf, "-inf")]
)
def test_decades_are_signed_and_zero_has_none(value, shown):
    assert decades(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0.007, "0.7 %"), (0.01, "1 %"), (0.0999, "10 %"), (0.86, "86 %"), (math.nan, "?")]
)
def test_percentages(share, shown):
    assert percent(share) == shown
