"""Make one function of evengrad raise, wherever it is referred to."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType, FunctionType, ModuleType
from typing import Any

import evengrad
from evengrad.observation import fuse

MESSAGE = "injected fault"

# What must hold when everything else breaks, and what torch calls in place of its own functions: these only pass on.
_TRUSTED = ("evengrad.observation.fuse", "evengrad.observation.intercept")
_LAYERS = ("observation", "probes", "recording", "rules", "diagnosis", "reports")


@dataclass(frozen=True)
class Target:
    """A function or method: ``module:Class.method`` or ``module:function``."""

    module: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.module.removeprefix('evengrad.')}:{self.owner + '.' if self.owner else ''}{self.name}"


def targets() -> list[Target]:
    """Return every function and method of the layers that work during and after a run."""
    return [target for module in _modules() for target in _of_module(module)]


def _modules() -> Iterator[ModuleType]:
    for layer in _LAYERS:
        package = importlib.import_module(f"evengrad.{layer}")
        yield package
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name not in _TRUSTED:
                yield importlib.import_module(info.name)


def _of_module(module: ModuleType) -> Iterator[Target]:
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if _function(value) is not None:
            yield Target(module.__name__, "", name)
        elif inspect.isclass(value) and not _is_protocol(value):
            for method, raw in vars(value).items():
                function = _function(raw)
                # Methods that dataclasses and enums generate belong to no file, or to another one.
                if function is not None and inspect.unwrap(function).__code__.co_filename == module.__file__:
                    yield Target(module.__name__, name, method)


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False)) or inspect.isabstract(kind)


def _function(raw: object) -> FunctionType | None:
    """Return the function inside a plain, static, class or cached attribute, or a property."""
    if isinstance(raw, (staticmethod, classmethod)):
        raw = raw.__func__
    if isinstance(raw, property):
        raw = raw.fget
    if not isinstance(raw, FunctionType) and hasattr(raw, "__wrapped__"):
        raw = raw.__wrapped__  # a cached function
    return raw if isinstance(raw, FunctionType) else None


class Fault:
    """A target that raises from its ``first`` call on (0: at once)."""

    def __init__(self, target: Target, first: int = 0) -> None:
        self.raised = 0
        self._target = target
        self._first = first
        self._calls = 0
        self._undo: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Fault:
        self.inject()
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, value in reversed(self._undo):
            setattr(owner, name, value)
        self._undo = []

    def inject(self) -> None:
        """Put the raising function in place of the target, wherever it is referred to."""
        module = sys.modules[self._target.module]
        owner: Any = getattr(module, self._target.owner) if self._target.owner else module
        raw = vars(owner)[self._target.name]
        self._put(owner, self._target.name, self._raising(raw))
        if owner is module:
            replacement = vars(module)[self._target.name]
            for other in [m for name, m in sys.modules.items() if name.partition(".")[0] == evengrad.__name__]:
                for name, value in list(vars(other).items()):
                    if value is raw:
                        self._put(other, name, replacement)

    def _put(self, owner: Any, name: str, value: Any) -> None:
        self._undo.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def _raising(self, raw: Any) -> Any:
        if isinstance(raw, (staticmethod, classmethod)):
            return type(raw)(self._function(raw.__func__))
        if isinstance(raw, property):
            assert raw.fget is not None
            return property(self._function(raw.fget))
        return self._function(raw)

    def _function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        inner = getattr(function, "__wrapped__", function)
        is_guarded = getattr(function, "__code__", None) is fuse.guarded(_nothing).__code__  # type: ignore[attr-defined]

        line = _first_guarded_line(inner)

        @functools.wraps(inner)
        def raising(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            if self._calls <= self._first:
                return inner(*args, **kwargs)
            self.raised += 1
            if line is None:
                raise RuntimeError(MESSAGE)
            return _raise_at(line, inner, *args, **kwargs)

        return fuse.guarded(raising) if is_guarded else raising


def _first_guarded_line(function: Callable[..., Any]) -> int | None:
    """Return where the guarded part begins if a function is one ``try`` with an ``except Exception``, else None."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    body = definition.body[1:] if ast.get_docstring(definition) is not None else definition.body
    if len(body) != 1 or not isinstance(body[0], ast.Try):
        return None
    caught = [handler.type.id for handler in body[0].handlers if isinstance(handler.type, ast.Name)]
    first: int = function.__code__.co_firstlineno
    return first - 1 + body[0].body[0].lineno if "Exception" in caught else None


def _raise_at(line: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that raises when it comes to a line of its own."""
    code = function.__code__  # type: ignore[attr-defined]

    def at_line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and frame.f_lineno >= line:
            raise RuntimeError(MESSAGE)
        return at_line

    before = sys.gettrace()
    sys.settrace(lambda frame, event, _: at_line if frame.f_code is code else None)
    try:
        return function(*args, **kwargs)
    finally:
        sys.settrace(before)


def _nothing(_: object) -> None:
    """Stand for a guarded method."""
