"""The plain JSON form of core values."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest

from evengrad.core.codec import codec_of
from evengrad.core.event import Event, EventKind
from evengrad.core.finding import Advice, Cause, Evidence, Finding, Severity
from evengrad.core.info import Environment, ModuleInfo, OptimizerInfo, Overhead, ParamInfo, SiteInfo, SourceLine
from evengrad.core.ledger import Branch, EntryKind, Ledger, LedgerEntry, TimeProfile
from evengrad.core.schema import (
    RUN_SCHEMA,
    check_schema,
    dumps,
    from_plain,
    loads,
    to_plain,
    trace_from_plain,
    trace_to_plain,
)
from evengrad.core.trace import Trace
from evengrad.errors import RunFolderError, SchemaError
from tests.core.random_values import assert_same, random_trace, random_value, stored_apart_left_out

STORED = (
    SourceLine, ModuleInfo, SiteInfo, ParamInfo, OptimizerInfo, Environment, Overhead,
    LedgerEntry, Branch, Ledger, TimeProfile, Event,
    Evidence, Cause, Advice, Finding,
)  # fmt: skip


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.__name__)
def test_every_core_value_survives_the_way_through_json_to_the_bit(kind: type) -> None:
    for seed in range(60):
        value = random_value(kind, random.Random(seed))
        text = dumps(to_plain(value))
        assert_same(from_plain(kind, loads(text, "text")), value)


def test_the_state_of_a_trace_survives_the_way_through_json() -> None:
    for seed in range(30):
        trace = random_trace(seed)
        again = trace_from_plain(loads(dumps(trace_to_plain(trace)), "run.json"))
        assert_same(again, stored_apart_left_out(trace))


def test_what_is_written_is_strict_json_on_one_line_in_ascii() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for seed in range(30):
        text = dumps(trace_to_plain(random_trace(seed)))
        json.loads(text, parse_constant=refuse)
        assert text.isascii()
        assert "\n" not in text


@pytest.mark.parametrize(
    ("number", "word"), [(math.nan, "NaN"), (-math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_numbers_that_are_not_finite_are_written_as_words(number: float, word: str) -> None:
    assert to_plain(number) == word
    assert_same(from_plain(float, word), number)


def test_a_string_that_reads_like_a_number_stays_a_string() -> None:
    event = Event(EventKind.CLIPPED, 1, details={"loss": "NaN"})
    assert from_plain(Event, loads(dumps(to_plain(event)), "text")) == event


def test_numpy_numbers_are_written_as_plain_ones() -> None:
    overhead = Overhead(share=np.float32(0.5), light_steps=np.int64(3))  # type: ignore[arg-type]
    again = from_plain(Overhead, loads(dumps(to_plain(overhead)), "text"))
    assert_same(again, Overhead(share=0.5, light_steps=3))


def test_unknown_keys_are_ignored_and_missing_ones_take_their_default() -> None:
    plain = {"kind": "clipped", "step": 3, "colour": [1, {"deep": None}]}
    assert from_plain(Event, plain) == Event(EventKind.CLIPPED, 3)


ENTRY = {"module": "a", "operation": "b", "kind": "weight", "decades": 0.5}


@pytest.mark.parametrize(
    ("kind", "plain", "message"),
    [
        (Event, {"kind": "clipped"}, r"the value should be an object with 'step', is an object"),
        (Event, {"kind": "melted", "step": 1}, r"kind should be a known EventKind, is \"melted\""),
        (Event, {"kind": ["clipped"], "step": 1}, r"kind should be a known EventKind, is a list of 1"),
        (Event, {"kind": "clipped", "step": True}, r"step should be an integer of 64 bits, is true"),
        (Event, {"kind": "clipped", "step": 2**63}, r"step should be an integer of 64 bits, is 9223372036854775808"),
        (Event, {"kind": "clipped", "step": 1.0}, r"step should be an integer of 64 bits, is 1\.0"),
        (Event, {"kind": "clipped", "step": 1, "details": {"a": 2}}, r"details\.a should be a string, is 2"),
        (Event, {"kind": "clipped", "step": 1, "details": []}, r"details should be an object, is a list of 0"),
        (Event, {"kind": "clipped", "step": 1, "source": "a.py:3"}, r"source should be an object, is \"a\.py:3\""),
        (ParamInfo, {"name": "w", "shape": 3, "dtype": "f"}, r"shape should be a list, is 3"),
        (ParamInfo, {"name": "w", "shape": [1, "2"], "dtype": "f"}, r"shape\[1\] should be an integer"),
        (ParamInfo, {"name": "w", "shape": [], "dtype": "f", "requires_grad": 1}, r"should be true or false, is 1"),
        (LedgerEntry, ENTRY | {"decades": "nan"}, r"decades should be a number, is \"nan\""),
        (LedgerEntry, ENTRY | {"decades": 10**400}, r"should be a number of 64 bits, is an integer of 1329 bits"),
        (LedgerEntry, ENTRY | {"scale": "x" * 99}, r"scale should be a number, is \"x{39}…;"),
        (Cause, {"kind": "data", "share": 1, "explanation": "", "values": [["a"]]}, r"values\[0\] should be a list of"),
    ],
)
def test_what_is_not_the_form_of_a_value_is_named_with_its_place(kind: type, plain: object, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        from_plain(kind, plain, "events.jsonl line 3")
    assert str(caught.value).startswith("events.jsonl line 3: ")
    assert len(str(caught.value).split()) <= 40


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([], r"run\.json should hold a JSON object with schema 'evengrad\.run/1', holds a list of 0"),
        ({}, r"run\.json has no schema, expected 'evengrad\.run/1'"),
        ({"schema": 1}, r"run\.json has no schema"),
        ({"schema": "evengrad.run/2"}, r"has schema 'evengrad\.run/2', this evengrad reads .*; upgrade evengrad"),
        ({"schema": "evengrad.run/0"}, r"has schema \"evengrad\.run/0\", expected 'evengrad\.run/1'"),
        (
            {"schema": "evengrad.report/1"},
            r"has schema \"evengrad\.report/1\", expected .*; it is another kind of file",
        ),
        ({"schema": "evengradXrun/2"}, r"it is another kind of file"),
        ({"schema": "evengrad.run/" + "9" * 5000}, r"it is another kind of file"),
    ],
)
def test_another_schema_is_refused_with_what_to_do(plain: object, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        trace_from_plain(plain)
    assert len(str(caught.value).split()) <= 40


def test_the_own_schema_is_accepted() -> None:
    check_schema({"schema": RUN_SCHEMA, "more": 1}, RUN_SCHEMA, "run.json")
    assert trace_from_plain({"schema": RUN_SCHEMA, "steps": 7}).steps == 7


def test_a_negative_number_of_steps_is_refused() -> None:
    with pytest.raises(SchemaError, match="steps should not be negative, is -1"):
        trace_from_plain({"schema": RUN_SCHEMA, "steps": -1})


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, "1" * 5000, '{"a": 1} x', b"\xff\xfe", b'"\xed\xa0\x80"'],
    ids=["empty", "cut", "nan", "infinity", "deep", "digits", "tail", "binary", "surrogate"],
)
def test_what_is_not_strict_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(SchemaError, match=r"^run\.json is (not valid JSON|nested too deeply)"):
        loads(text, "run.json")


# With the stack used up, finalisers of other tests' objects that happen to run then cannot.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_value_nested_deeper_than_python_allows_is_refused() -> None:
    plain: object = to_plain(Finding("r", Severity.INFO, "m"))
    for _ in range(5000):
        plain = {**to_plain(Finding("r", Severity.INFO, "m")), "consequences": [plain]}  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match="nested too deeply"):
        from_plain(Finding, plain)


def test_schema_errors_are_run_folder_errors() -> None:
    assert issubclass(SchemaError, RunFolderError)


def test_a_type_without_a_plain_form_is_our_own_mistake() -> None:
    with pytest.raises(TypeError, match="no plain form"):
        codec_of(complex)
    with pytest.raises(TypeError, match="no plain form"):
        to_plain(object())


def test_the_kind_of_an_entry_is_written_by_its_id() -> None:
    entry = LedgerEntry("net.0", "Addmm", EntryKind.WEIGHT, -0.5)
    assert to_plain(entry) == {
        "module": "net.0",
        "operation": "Addmm",
        "kind": "weight",
        "decades": -0.5,
        "scale": None,
        "uses": 1,
        "source": None,
    }


def test_core_imports_neither_torch_nor_arrow() -> None:
    code = "import sys, evengrad.core.schema; print([m for m in ('torch', 'pyarrow', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_empty_trace_has_a_plain_form() -> None:
    assert trace_to_plain(Trace())["schema"] == "evengrad.run/1"
