"""Turn whatever a user calls an activation into an `Activation`."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import logging
import re
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache

import numpy as np

from evengrad.errors import UsageError
from evengrad.theory import _torch
from evengrad.theory._blackbox import wrap_callable
from evengrad.theory._kinked import KINKED
from evengrad.theory._smooth import SMOOTH
from evengrad.theory.activation import Activation

_log = logging.getLogger(__name__)

ActivationLike = str | Callable[..., object] | Activation
Parameters = tuple[tuple[str, float | str], ...]

_BUILDERS = SMOOTH | KINKED
# Spellings of papers, of Keras and of Hugging Face; written without the characters that `_squeeze` removes.
_ALIASES = {
    "linear": "identity", "none": "identity", "swish": "silu", "swish1": "silu", "hardsilu": "hardswish",
    "relu2": "relu_squared", "squaredrelu": "relu_squared", "lrelu": "leaky_relu", "leaky": "leaky_relu",
    "logistic": "sigmoid", "sine": "sin", "hyperbolictangent": "tanh",
}  # fmt: skip
_TANH_GELU = ("gelutanh", "gelunew", "gelupytorchtanh", "gelufast", "tanhgelu")  # GELU with approximate="tanh"
_PREFIX = re.compile(r"^(?:(?:torch\.)?nn\.(?:functional\.|modules\.activation\.)?|torch\.|F\.|functional\.)")
_BRIEF = re.compile(r"(?P<name>[A-Za-z_][\w.-]*):(?P<values>[-+.\deE,]+)")  # "leaky_relu:0.2"
_NOT_ELEMENTWISE = (
    "softmax", "softmin", "softmax2d", "log_softmax", "gumbel_softmax", "glu", "swiglu", "geglu", "reglu",
    "multihead_attention", "adaptive_log_softmax_with_loss", "maxout",
)  # fmt: skip


def _squeeze(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


_BY_SQUEEZED_NAME = {_squeeze(name): name for name in _BUILDERS} | _ALIASES | dict.fromkeys(_TANH_GELU, "gelu")
_SQUEEZED_NOT_ELEMENTWISE = {_squeeze(name) for name in _NOT_ELEMENTWISE}


def known_activations() -> tuple[str, ...]:
    """Return the names of the activations known in closed form, in alphabetical order."""
    return tuple(sorted(_BUILDERS))


def as_activation(activation: ActivationLike, parameters: Mapping[str, float | str] | None = None) -> Activation:
    """Return the `Activation` that a name, a module, a function or any callable stands for.

    Args:
        activation: A name with or without parameters (``"gelu"``, ``"nn.LeakyReLU(0.2)"``, ``"leaky_relu:0.2"``,
            ``"F.softplus(beta=2)"``), ``"package.module:function"`` or ``"package.module:Class(0.2)"``, a ``torch.nn``
            module or its class, a function of ``torch`` or ``torch.nn.functional``, or any callable that maps arrays,
            tensors or single floats element by element. Text is parsed, never evaluated; naming a module imports it.
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
    text = text.strip()
    brief = _BRIEF.fullmatch(text)
    if brief is not None and _is_known(brief["name"]):
        return _from_text(f"{brief['name']}({brief['values']})", given)
    if ":" in text:
        return as_activation(_import(text), dict(given))
    name, positional, keywords = _parse_call(text) if "(" in text else (text, (), ())
    name = _PREFIX.sub("", name)
    if _squeeze(name) in _TANH_GELU:
        keywords = (("approximate", "tanh"), *keywords)
    return _build(name, positional, (*keywords, *given))


def _is_known(name: str) -> bool:
    return _squeeze(_PREFIX.sub("", name)) in _BY_SQUEEZED_NAME


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
        raise UsageError(_unknown(name, squeezed))
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


def _unknown(name: str, squeezed: str) -> str:
    close = get_close_matches(squeezed, _BY_SQUEEZED_NAME, n=3, cutoff=0.6)
    likely = " or ".join(f"'{found}'" for found in dict.fromkeys(_BY_SQUEEZED_NAME[found] for found in close))
    hint = f"; did you mean {likely}?" if likely else ""
    return f"unknown activation '{name}'{hint} (known: {', '.join(known_activations())}; or package.module:function)"


def _parse_call(text: str) -> tuple[str, tuple[float | str, ...], Parameters]:
    """Read ``name(1, beta=2)`` without evaluating anything: the name may have dots, the parameters are literals."""
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not re.fullmatch(r"[^\W\d][\w.]*", ast.unparse(tree.func)):
            raise ValueError("it is not a name with parameters in brackets")
        positional = tuple(ast.literal_eval(argument) for argument in tree.args)
        keywords = tuple(sorted((str(word.arg), ast.literal_eval(word.value)) for word in tree.keywords))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"expected an activation such as 'leaky_relu(negative_slope=0.2)', got '{text}'") from error
    return ast.unparse(tree.func), positional, keywords


def _import(text: str) -> Callable[..., object]:
    """Import what ``package.module:path`` names; a class, and a path with parameters in brackets, is called."""
    module_name, _, path = text.partition(":")
    if module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise UsageError(f"expected package.module:function, '{text}' names a file; write '{dotted}:{path}'")
    path, positional, keywords = _parse_call(path) if "(" in path else (path, (), ())
    found: object = _import_module(module_name, text)
    try:
        for attribute in path.split("."):
            found = builtins.getattr(found, attribute)
    except AttributeError as error:
        raise UsageError(f"expected package.module:function, cannot import '{text}': {error}") from error
    if not callable(found):
        raise UsageError(f"expected '{text}' to name a callable, it is a {type(found).__name__}")
    if "(" not in text and not _needs_call(found):
        return found
    try:
        made: object = found(*positional, **dict(keywords))
    except Exception as error:  # the user's own code
        raise UsageError(f"'{text}' cannot be made: {type(error).__name__}: {error}") from error
    if not callable(made):
        raise UsageError(f"expected '{text}' to give a callable, it gives a {type(made).__name__}")
    return made


def _import_module(module_name: str, text: str) -> types.ModuleType:
    try:
        return importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise UsageError(f"expected package.module:function, cannot import '{text}': {error}") from error
    except (Exception, SystemExit) as error:  # the user's own code, run by importing it
        _log.debug("importing %s failed", module_name, exc_info=True)
        raise UsageError(f"importing '{module_name}' fails with {type(error).__name__}: {error}") from error


def _needs_call(found: object) -> bool:
    """Say whether a class of the user's was named: its instances are the activations."""
    return isinstance(found, type) and not found.__module__.startswith("torch.")


def _refuse(given: Parameters, name: str) -> None:
    if given:
        names = ", ".join(key for key, _ in given)
        raise UsageError(f"{name} takes no parameters here, got {names}; bind them with functools.partial or a lambda")


def _name_of(activation: Callable[..., object]) -> str:
    if isinstance(activation, (types.FunctionType, types.BuiltinFunctionType, type, np.ufunc)):
        return activation.__name__
    return type(activation).__name__
