"""The plain JSON form of every core value that is stored, and the versions of the files that hold them.

Strict JSON only: a number that is not finite is written as the string ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.
Fields may be added to a core value, with a default, without a new schema version: readers ignore keys they do not
know and give missing ones their default.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Hashable, Mapping
from typing import Final, NoReturn, TypeVar, cast

from evengrad.core.codec import AbstractCodec, Json, Mismatch, codec_of, record_codec
from evengrad.core.trace import Trace
from evengrad.errors import SchemaError

T = TypeVar("T")

RUN_SCHEMA: Final = "evengrad.run/1"

# Kept in files of their own: they grow with the run.
STORED_APART: Final = frozenset({"series", "ledgers", "time_profiles", "events"})
STATE_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Trace) if field.name not in STORED_APART)

_SHOWN: Final = 40  # characters of a wrong value that an error shows


def to_plain(value: object) -> Json:
    """Return the plain form of a core value: a dataclass, an enum member, or a plain value.

    Raises:
        TypeError: values of its type have no plain form.
    """
    return codec_of(cast("Hashable", type(value))).encode(value)


def from_plain(kind: type[T], plain: object, where: str = "value") -> T:
    """Return the value of type ``kind`` that ``plain`` is the form of.

    Args:
        kind: The declared type.
        plain: What `loads` returned.
        where: Names the place in errors, ``"events.jsonl line 3"``.

    Raises:
        SchemaError: ``plain`` is not the form of a ``kind``.
    """
    return cast("T", _decode(codec_of(cast("Hashable", kind)), plain, where))


def state_of(trace: Trace) -> dict[str, object]:
    """Return the fields of a trace that ``run.json`` holds, by name."""
    return {name: getattr(trace, name) for name in STATE_FIELDS}


def trace_to_plain(trace: Trace) -> dict[str, Json]:
    """Return the plain form of a trace's state, with its schema: the content of ``run.json``."""
    plain = cast("dict[str, Json]", record_codec(Trace, STORED_APART).encode(trace))
    return {"schema": RUN_SCHEMA, **plain}


def trace_from_plain(plain: object, where: str = "run.json") -> Trace:
    """Return a trace, without what is stored apart, from the content of ``run.json``.

    Raises:
        SchemaError: the content has another schema, or is not the form of a trace.
    """
    check_schema(plain, RUN_SCHEMA, where)
    trace = cast("Trace", _decode(record_codec(Trace, STORED_APART), plain, where))
    if trace.steps < 0:
        raise SchemaError(f"{where}: steps should not be negative, is {trace.steps}; the file is damaged")
    return trace


def check_schema(plain: object, expected: str, where: str) -> None:
    """Check that a file's content says that it has the schema ``expected``, such as ``"evengrad.run/1"``.

    Raises:
        SchemaError: it says otherwise, or says nothing.
    """
    if not isinstance(plain, Mapping):
        raise SchemaError(f"{where} should hold a JSON object with schema {expected!r}, holds {_show(plain)}")
    schema = plain.get("schema")
    if schema == expected:
        return
    if not isinstance(schema, str):
        raise SchemaError(f"{where} has no schema, expected {expected!r}; evengrad did not write it, or it is damaged")
    name, _, version = expected.partition("/")
    newer = re.fullmatch(rf"{re.escape(name)}/(\d{{1,9}})", schema)
    if newer is not None and int(newer[1]) > int(version):
        raise SchemaError(f"{where} has schema {schema!r}, this evengrad reads {expected!r}; upgrade evengrad")
    raise SchemaError(f"{where} has schema {_show(schema)}, expected {expected!r}; it is another kind of file")


def dumps(plain: Json) -> str:
    """Return a plain value as one line of strict JSON, in ASCII.

    Raises:
        ValueError: it holds a number that is not finite; `to_plain` leaves none.
    """
    return json.dumps(plain, allow_nan=False, separators=(", ", ": "))


def loads(text: str | bytes, where: str) -> object:
    """Return the plain value that strict JSON text stands for.

    Args:
        text: The text; bytes are UTF-8.
        where: Names the place in errors, ``"run.json"``.

    Raises:
        SchemaError: the text is not strict JSON.
    """
    try:
        return cast("object", json.loads(text.decode() if isinstance(text, bytes) else text, parse_constant=_refuse))
    except RecursionError:
        raise SchemaError(f"{where} is nested too deeply; evengrad did not write it") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, integers of thousands of digits
        reason = str(error)[:100]
        raise SchemaError(f"{where} is not valid JSON ({reason}); it is truncated or damaged") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _decode(codec: AbstractCodec, plain: object, where: str) -> object:
    try:
        return codec.decode(plain)
    except RecursionError:
        raise SchemaError(f"{where} is nested too deeply; evengrad did not write it") from None
    except Mismatch as mismatch:
        place = "".join(reversed(mismatch.path)).lstrip(".")[-120:] or "the value"
        found = _show(mismatch.found)
        raise SchemaError(
            f"{where}: {place} should be {mismatch.expected}, is {found}; it is damaged, or from a newer evengrad"
        ) from None


def _show(value: object) -> str:
    """Return a short description of a wrong value."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"  # its repr may raise
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
