"""Turn dataclasses into plain JSON values and back, by their declared types.

A codec is built once per type from the annotations of our own dataclasses; file content never chooses what is
built, so reading can only yield the declared values or a `Mismatch`.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")

# Strict JSON has no words for these; they are written as strings.
NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
INT_LIMIT: Final = 2**63  # steps and counts are int64 everywhere else


class Mismatch(Exception):
    """A plain value is not of the declared type; ``path`` leads to it, innermost name first.

    Stays inside the codecs: `evengrad.core.schema` turns it into a SchemaError.
    """

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found
        self.path: list[str] = []


class AbstractCodec(ABC):
    """Encodes values of one declared type as plain JSON values, and decodes them."""

    @abstractmethod
    def encode(self, value: object) -> Json:
        """Return the plain form of a value of the declared type."""

    @abstractmethod
    def decode(self, plain: object) -> object:
        """Return the value; raises `Mismatch` where ``plain`` is not the form of one."""


class _Text(AbstractCodec):
    def encode(self, value: object) -> Json:
        return str(value)

    def decode(self, plain: object) -> str:
        if not isinstance(plain, str):
            raise Mismatch("a string", plain)
        return plain


class _Truth(AbstractCodec):
    def encode(self, value: object) -> Json:
        return bool(value)

    def decode(self, plain: object) -> bool:
        if not isinstance(plain, bool):
            raise Mismatch("true or false", plain)
        return plain


class _Integer(AbstractCodec):
    def encode(self, value: object) -> Json:
        return int(cast("int", value))  # NumPy's integers as well

    def decode(self, plain: object) -> int:
        if isinstance(plain, bool) or not isinstance(plain, int) or not -INT_LIMIT <= plain < INT_LIMIT:
            raise Mismatch("an integer of 64 bits", plain)
        return plain


class _Number(AbstractCodec):
    def encode(self, value: object) -> Json:
        number = float(cast("float", value))
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"

    def decode(self, plain: object) -> float:
        if isinstance(plain, str) and plain in NON_FINITE:
            return NON_FINITE[plain]
        if isinstance(plain, bool) or not isinstance(plain, int | float):
            raise Mismatch("a number", plain)
        try:
            return float(plain)
        except OverflowError:
            raise Mismatch("a number of 64 bits", plain) from None


class _Choice(AbstractCodec):
    def __init__(self, kind: type[Enum]) -> None:
        self.kind = kind
        self.members = {member.value: member for member in kind}

    def encode(self, value: object) -> Json:
        return cast("str", cast("Enum", value).value)

    def decode(self, plain: object) -> Enum:
        if not isinstance(plain, str) or plain not in self.members:
            raise Mismatch(f"a known {self.kind.__name__}", plain)
        return self.members[plain]


class _Optional(AbstractCodec):
    def __init__(self, inner: AbstractCodec) -> None:
        self.inner = inner

    def encode(self, value: object) -> Json:
        return None if value is None else self.inner.encode(value)

    def decode(self, plain: object) -> object:
        return None if plain is None else self.inner.decode(plain)


class _Sequence(AbstractCodec):
    """``tuple[X, ...]``."""

    def __init__(self, inner: AbstractCodec) -> None:
        self.inner = inner

    def encode(self, value: object) -> Json:
        return [self.inner.encode(item) for item in cast("tuple[object, ...]", value)]

    def decode(self, plain: object) -> tuple[object, ...]:
        if not isinstance(plain, list):
            raise Mismatch("a list", plain)
        return tuple(_at(f"[{index}]", self.inner.decode, item) for index, item in enumerate(plain))


class _Group(AbstractCodec):
    """``tuple[X, Y]``: a fixed number of items."""

    def __init__(self, inner: tuple[AbstractCodec, ...]) -> None:
        self.inner = inner

    def encode(self, value: object) -> Json:
        return [codec.encode(item) for codec, item in zip(self.inner, cast("tuple[object, ...]", value), strict=True)]

    def decode(self, plain: object) -> tuple[object, ...]:
        if not isinstance(plain, list) or len(plain) != len(self.inner):
            raise Mismatch(f"a list of {len(self.inner)}", plain)
        return tuple(
            _at(f"[{index}]", codec.decode, item)
            for index, (codec, item) in enumerate(zip(self.inner, plain, strict=True))
        )


class _Table(AbstractCodec):
    """``Mapping[str, X]``."""

    def __init__(self, inner: AbstractCodec) -> None:
        self.inner = inner

    def encode(self, value: object) -> Json:
        return {str(key): self.inner.encode(item) for key, item in cast("Mapping[str, object]", value).items()}

    def decode(self, plain: object) -> dict[str, object]:
        if not isinstance(plain, dict):
            raise Mismatch("an object", plain)
        return {key: _at(f".{key}", self.inner.decode, item) for key, item in plain.items()}


class _Record(AbstractCodec):
    """A dataclass. Unknown keys are ignored and missing ones take the field's default, so fields may be added."""

    def __init__(self, kind: type, leave_out: frozenset[str]) -> None:
        self.kind = kind
        self.leave_out = leave_out

    @cached_property
    def fields(self) -> dict[str, tuple[AbstractCodec, bool]]:
        """Codec of each field and whether it may be missing; late, because a type may contain itself."""
        hints = get_type_hints(self.kind)
        return {
            field.name: (codec_of(hints[field.name]), not _is_required(field))
            for field in dataclasses.fields(self.kind)
            if field.init and field.name not in self.leave_out
        }

    def encode(self, value: object) -> Json:
        return {name: codec.encode(getattr(value, name)) for name, (codec, _) in self.fields.items()}

    def decode(self, plain: object) -> object:
        if not isinstance(plain, dict):
            raise Mismatch("an object", plain)
        values: dict[str, object] = {}
        for name, (codec, may_be_missing) in self.fields.items():
            if name in plain:
                values[name] = _at(f".{name}", codec.decode, plain[name])
            elif not may_be_missing:
                raise Mismatch(f"an object with {name!r}", plain)
        return self.kind(**values)


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _at(step: str, decode: Callable[[object], T], plain: object) -> T:
    """Decode one part of a value; a mismatch in it learns where it was met."""
    try:
        return decode(plain)
    except Mismatch as mismatch:
        mismatch.path.append(step)
        raise


_PLAIN: Final[Mapping[object, Callable[[], AbstractCodec]]] = {
    str: _Text,
    bool: _Truth,
    int: _Integer,
    float: _Number,
}


@cache
def record_codec(kind: type, leave_out: frozenset[str] = frozenset()) -> AbstractCodec:
    """Return the codec of a dataclass, without the fields in ``leave_out`` (they need defaults)."""
    return _Record(kind, leave_out)


@cache
def codec_of(hint: Hashable) -> AbstractCodec:
    """Return the codec of a declared type.

    Args:
        hint: A dataclass, an enum of strings, ``str``, ``bool``, ``int``, ``float``, or ``tuple``, ``Mapping[str, …]``
            and ``… | None`` of them.

    Raises:
        TypeError: values of the type have no plain form.
    """
    if hint in _PLAIN:
        return _PLAIN[hint]()
    if isinstance(hint, type) and get_origin(hint) is None:
        if issubclass(hint, Enum):
            return _Choice(hint)
        if dataclasses.is_dataclass(hint):
            return record_codec(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _Sequence(codec_of(arguments[0]))
    if origin is tuple:
        return _Group(tuple(codec_of(argument) for argument in arguments))
    if origin is Mapping and arguments[0] is str:
        return _Table(codec_of(arguments[1]))
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        return _Optional(codec_of(next(argument for argument in arguments if argument is not NoneType)))
    raise TypeError(f"values of type {hint} have no plain form")
