"""Recognise torch's activations, and evaluate torch callables in float64. Imports torch only when it is at hand."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from evengrad.errors import UsageError
from evengrad.theory._arrays import Array, RealFunction

if TYPE_CHECKING:
    import torch

Parameters = tuple[tuple[str, float | str], ...]

_MODULE_PARAMETERS: dict[str, tuple[str, ...]] = {
    "CELU": ("alpha",),
    "ELU": ("alpha",),
    "GELU": ("approximate",),
    "Hardshrink": ("lambd",),
    "Hardsigmoid": (),
    "Hardswish": (),
    "Hardtanh": ("min_val", "max_val"),
    "Identity": (),
    "LeakyReLU": ("negative_slope",),
    "LogSigmoid": (),
    "Mish": (),
    "RReLU": ("lower", "upper"),
    "ReLU": (),
    "ReLU6": (),
    "SELU": (),
    "SiLU": (),
    "Sigmoid": (),
    "Softplus": ("beta", "threshold"),
    "Softshrink": ("lambd",),
    "Softsign": (),
    "Tanh": (),
    "Tanhshrink": (),
    "Threshold": ("threshold", "value"),
}
_NOT_ELEMENTWISE = ("GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin")
_FUNCTIONS = (
    "celu", "elu", "erf", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu",
    "sin", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
)  # fmt: skip


def describe(activation: Callable[..., object]) -> tuple[str, Parameters] | None:
    """Return name and parameters of one of torch's own activations; ``None`` for anything else."""
    torch = sys.modules.get("torch")
    if torch is None:  # then nothing of torch's can have come in
        return None
    if isinstance(activation, torch.nn.Module):
        return _describe_module(activation)
    if isinstance(activation, type):
        return _describe_class(activation)
    for namespace in (torch.nn.functional, torch):
        for name in _FUNCTIONS:
            if any(activation is vars(namespace).get(spelling) for spelling in (name, f"{name}_")):
                return name, ()
    return None


def _own_classes() -> tuple[type, ...]:
    import torch

    return tuple(vars(torch.nn)[name] for name in (*_MODULE_PARAMETERS, *_NOT_ELEMENTWISE))


def _describe_class(found: type) -> tuple[str, Parameters] | None:
    import torch

    if found in (torch.nn.PReLU, *_own_classes()):
        return found.__name__, ()
    if issubclass(found, torch.nn.Module):
        raise UsageError(f"expected an instance of {found.__name__}, got the class; pass {found.__name__}()")
    return None


def _describe_module(module: torch.nn.Module) -> tuple[str, Parameters] | None:
    import torch

    if isinstance(module, torch.nn.PReLU):
        slopes = torch.unique(module.weight.detach().double())
        if len(slopes) > 1:
            raise UsageError(f"expected one slope in PReLU, its channels have {len(slopes)}; pass nn.LeakyReLU instead")
        return "prelu", (("init", float(slopes)),)
    if type(module) not in _own_classes():
        return None
    name = type(module).__name__
    return name, tuple((key, attrgetter(key)(module)) for key in _MODULE_PARAMETERS.get(name, ()))


def evaluators(function: Callable[..., object]) -> tuple[RealFunction, RealFunction]:
    """Return value and derivative of a torch callable on float64 arrays; a module is copied to float64 first."""
    import torch

    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).double().eval()

    def value(x: Array) -> Array:
        with torch.no_grad():
            return _to_array(function(torch.tensor(x, dtype=torch.float64)))

    def derivative(x: Array) -> Array:
        with torch.enable_grad():
            at = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            output = function(at)
            if not isinstance(output, torch.Tensor) or not output.requires_grad:
                return np.zeros_like(x)  # the output is a constant
            gradients = torch.autograd.grad(output.sum(), at, allow_unused=True, materialize_grads=True)
        return _to_array(gradients[0])

    return value, derivative


def _to_array(output: object) -> Array:
    import torch

    if not isinstance(output, torch.Tensor):
        raise TypeError(f"expected a tensor from the activation, got {type(output).__name__}")
    return np.asarray(output.detach().to("cpu", torch.float64).numpy(), dtype=np.float64)
