"""Turn whatever a user calls an activation into an `Activation`."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from evengrad.errors import UsageError
from evengrad.theory import _torch
from evengrad.theory._blackbox import wrap_callable
from evengrad.theory._kinked import KINKED
from evengrad.theory._smooth import SMOOTH
from evengrad.theory.activation import Activation

ActivationLike = str | Callable[..., object] | Activation
Parameters = tuple[tuple[str, float | str], ...]

_BUILDERS = SMOOTH | KINKED
_ALIASES = {"linear": "identity", "none": "identity", "swish": "silu", "relu2": "relu_squared", "hardsilu": "hardswish"}
_NOT_ELEMENTWISE = (
    "softmax", "softmin", "softmax2d", "log_softmax", "gumbel_softmax", "glu", "swiglu", "geglu", "reglu",
    "multihead_attention", "adaptive_log_softmax_with_loss", "maxout",
)  # fmt: skip


def _squeeze(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


_BY_SQUEEZED_NAME = {_squeeze(name): name for name in _BUILDERS} | _ALIASES
_SQUEEZED_NOT_ELEMENTWISE = {_squeeze(name) for name in _NOT_ELEMENTWISE}


def known_activations() -> tuple[str, ...]:
    """Return the names of the activations known in closed form, in alphabetical order."""
    return tuple(sorted(_BUILDERS))


def as_activation(activation: ActivationLike, parameters: Mapping[str, float | str] | None = None) -> Activation:
    """Return the `Activation` that a name, a module, a function or any callable stands for.

    Args:
        activation: A name with or without parameters (``"gelu"``, ``"LeakyReLU"``,
            ``"leaky_relu(negative_slope=0.2)"``), ``"package.module:function"``, a ``torch.nn`` module or its class, a
            function of ``torch`` or ``torch.nn.functional``, or any callable that maps arrays, tensors or single floats
            element by element.
        parameters: Parameters by name, where ``activation`` does not carry them itself.

    Raises:
        UsageError: The name is unknown, a parameter does not fit, or the callable is not an element-wise function.

    Example:
        >>> as_activation("LeakyReLU", {"negative_slope": 0.2}).label
        'leaky_relu(negative_slope=0.2)'
    """
    given = tuple(sorted((parameters or {}).items()))
    match activation:
        case Activation():
            _refuse(given, activation.name)
            return activation
        case str():
            return _from_text(activation, given)
        case functools.partial():
            if activation.args:
                raise UsageError(
                    "expected a partial of an activation with keywords only; it binds positional arguments"
                )
            return as_activation(activation.func, {**activation.keywords, **dict(given)})
        case _:
            return _from_object(activation, given)


def _from_text(text: str, given: Parameters) -> Activation:
    if ":" in text:
        return as_activation(_import(text), dict(given))
    if "(" in text:
        name, positional, keywords = _parse_call(text)
        return _build(name, positional, (*keywords, *given))
    return _build(text, (), given)


def _from_object(activation: Callable[..., object], given: Parameters) -> Activation:
    described = _torch.describe(activation)
    if described is not None:
        name, own = described
        return _build(name, (), tuple({**dict(own), **dict(given)}.items()))
    _refuse(given, _name_of(activation))
    try:
        return wrap_callable(activation, _name_of(activation))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _build(name: str, positional: tuple[float | str, ...], keywords: Parameters) -> Activation:
    squeezed = _squeeze(name)
    if squeezed in _SQUEEZED_NOT_ELEMENTWISE:
        raise UsageError(
            f"{name} is not element-wise, so mean-field theory has no picture of it; measure it as a block"
        )
    known = _BY_SQUEEZED_NAME.get(squeezed)
    if known is None:
        choices = ", ".join(known_activations())
        raise UsageError(f"unknown activation '{name}' (known: {choices}; or package.module:function)")
    signature = inspect.signature(_BUILDERS[known])
    try:
        bound = signature.bind(*positional, **dict(keywords))
        bound.apply_defaults()
        return _construct(known, tuple(bound.arguments.items()))
    except (TypeError, ValueError, ArithmeticError) as error:
        takes = ", ".join(str(parameter) for parameter in signature.parameters.values()) or "no parameters"
        raise UsageError(f"{known}: {error} (it takes {takes})") from error


@lru_cache(maxsize=256)
def _construct(known: str, arguments: Parameters) -> Activation:
    """Build an activation; equal spellings give the same object, and so share every cached average."""
    value, derivative, kinks, jumps = _BUILDERS[known](**dict(arguments))
    return Activation(known, value, derivative, tuple(sorted(kinks)), jumps, arguments)


def _parse_call(text: str) -> tuple[str, tuple[float | str, ...], Parameters]:
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError("it is not a name with parameters in brackets")
        positional = tuple(ast.literal_eval(argument) for argument in tree.args)
        keywords = tuple(sorted((str(word.arg), ast.literal_eval(word.value)) for word in tree.keywords))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"expected an activation such as 'leaky_relu(negative_slope=0.2)', got '{text}'") from error
    return tree.func.id, positional, keywords


def _import(text: str) -> Callable[..., object]:
    module_name, _, path = text.partition(":")
    try:
        found: object = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = builtins.getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"expected package.module:function, cannot import '{text}': {error}") from error
    if not callable(found):
        raise UsageError(f"expected '{text}' to name a callable, it is a {type(found).__name__}")
    return found


def _refuse(given: Parameters, name: str) -> None:
    if given:
        names = ", ".join(key for key, _ in given)
        raise UsageError(f"{name} takes no parameters here, got {names}; bind them with functools.partial or a lambda")


def _name_of(activation: Callable[..., object]) -> str:
    if isinstance(activation, (types.FunctionType, types.BuiltinFunctionType, type, np.ufunc)):
        return activation.__name__
    return type(activation).__name__
