"""Random values of any declared type, and comparison of values that may hold NaN."""

from __future__ import annotations

import dataclasses
import math
import random
import string
from collections.abc import Mapping
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from evengrad.core.schema import STORED_APART
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace

WORDS = ("", "net.0.weight", "層", '\x00\n\t"\\', "\ud800", "\u2028", "NaN", "Infinity", "😀", "null")
FLOATS = (0.0, -0.0, 1.0, -1e-308, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 0.1, 1 / 3)
INTS = (0, 1, -1, 2**63 - 1, -(2**63), 300)


def random_value(hint: Any, rng: random.Random, depth: int = 3) -> Any:
    """Return a value of a declared type; nesting ends after ``depth`` dataclasses of one kind inside another."""
    if hint is str:
        return rng.choice((*WORDS, "".join(rng.choices(string.printable, k=rng.randrange(12)))))
    if hint is bool:
        return rng.random() < 0.5
    if hint is int:
        return rng.choice((*INTS, rng.randrange(10**9)))
    if hint is float:
        return rng.choice((*FLOATS, rng.uniform(-1, 1) * 10 ** rng.randrange(-300, 300)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return rng.choice(list(hint))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{f.name: random_value(hints[f.name], rng, depth - 1) for f in dataclasses.fields(hint)})
    origin, arguments = get_origin(hint), get_args(hint)
    length = rng.randrange(4) if depth > 0 else 0
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(random_value(arguments[0], rng, depth) for _ in range(length))
    if origin is tuple:
        return tuple(random_value(argument, rng, depth) for argument in arguments)
    if origin is Mapping:
        return {random_value(str, rng): random_value(arguments[1], rng, depth) for _ in range(length)}
    assert NoneType in arguments, hint
    inner = next(argument for argument in arguments if argument is not NoneType)
    return None if depth <= 0 or rng.random() < 0.3 else random_value(inner, rng, depth)


def random_trace(seed: int) -> Trace:
    """Return a trace with a random state, events, ledgers and profiles, and series that a run could have measured."""
    rng = random.Random(seed)
    hints = get_type_hints(Trace)
    values = {name: random_value(hint, rng) for name, hint in hints.items() if name != "series"}
    series = {}
    for statistic in rng.sample(list(Statistic), 8):
        for subject in rng.sample(WORDS[:4], 2):
            steps = sorted(rng.sample(range(1000), rng.randrange(1, 40)))
            points = [random_value(float, rng) for _ in steps]
            series[statistic, subject] = Series(np.array(steps, np.int64), np.array(points, np.float64))
    return Trace(**{**values, "series": series, "steps": rng.randrange(1000, 2000)})


def assert_same(left: object, right: object, where: str = "value") -> None:
    """Assert that two values are equal to the bit, NaN and the sign of zero included."""
    assert type(left) is type(right) or isinstance(left, Mapping), where
    if isinstance(left, float):
        assert isinstance(right, float)
        assert (math.isnan(left) and math.isnan(right)) or repr(left) == repr(right), f"{where}: {left} {right}"
    elif isinstance(left, np.ndarray):
        assert isinstance(right, np.ndarray), where
        assert left.dtype == right.dtype, where
        assert left.tobytes() == right.tobytes(), where
    elif isinstance(left, Mapping):
        assert isinstance(right, Mapping), where
        assert list(left) == list(right), where
        for key, item in left.items():
            assert_same(item, right[key], f"{where}[{key!r}]")
    elif isinstance(left, tuple):
        assert isinstance(right, tuple), where
        assert len(left) == len(right), where
        for index, (item, other) in enumerate(zip(left, right, strict=True)):
            assert_same(item, other, f"{where}[{index}]")
    elif dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name), f"{where}.{field.name}")
    else:
        assert left == right, where


def stored_apart_left_out(trace: Trace) -> Trace:
    """Return a trace without what ``run.json`` does not hold."""
    return Trace(**{f.name: getattr(trace, f.name) for f in dataclasses.fields(Trace) if f.name not in STORED_APART})
