"""The element-wise functions that activations are, under all their names in torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import libcst as cst

from evengrad.patches._source import Source


@dataclass(frozen=True)
class Activation:
    """An activation's names.

    Attributes:
        module: Its class in torch.nn.
        function: Its function in torch.nn.functional.
        short: Its function in torch, and its method; "" when there is none.
        node: Autograd's name of the operation.
        inplace: Whether class and function take ``inplace``.
    """

    module: str
    function: str
    short: str = ""
    node: str = ""
    inplace: bool = False

    @property
    def functions(self) -> tuple[str, ...]:
        """Full names of its functions; those that work in place end in ``_``."""
        found = [f"torch.nn.functional.{self.function}", f"torch.nn.functional.{self.function}_"]
        if self.short:
            found += [f"torch.{self.short}", f"torch.{self.short}_", f"torch.special.{self.short}"]
        return (*found, "torch.special.expit") if self.short == "sigmoid" else tuple(found)


ACTIVATIONS = {
    "relu": Activation("ReLU", "relu", "relu", "Relu", True),
    "relu6": Activation("ReLU6", "relu6", "", "Hardtanh", True),
    "leaky-relu": Activation("LeakyReLU", "leaky_relu", "", "LeakyRelu", True),
    "prelu": Activation("PReLU", "prelu", "", "PreluKernel"),
    "elu": Activation("ELU", "elu", "", "Elu", True),
    "selu": Activation("SELU", "selu", "selu", "Elu", True),
    "celu": Activation("CELU", "celu", "celu", "Celu", True),
    "gelu": Activation("GELU", "gelu", "", "Gelu"),
    "silu": Activation("SiLU", "silu", "", "Silu", True),
    "mish": Activation("Mish", "mish", "", "Mish", True),
    "softplus": Activation("Softplus", "softplus", "", "Softplus"),
    "softsign": Activation("Softsign", "softsign", "", "Div"),
    "hardswish": Activation("Hardswish", "hardswish", "", "Hardswish", True),
    "hardsigmoid": Activation("Hardsigmoid", "hardsigmoid", "", "Hardsigmoid", True),
    "hardtanh": Activation("Hardtanh", "hardtanh", "", "Hardtanh", True),
    "logsigmoid": Activation("LogSigmoid", "logsigmoid", "", "LogSigmoid"),
    "tanh": Activation("Tanh", "tanh", "tanh", "Tanh"),
    "sigmoid": Activation("Sigmoid", "sigmoid", "sigmoid", "Sigmoid"),
    "softmax": Activation("Softmax", "softmax", "softmax", "Softmax"),
    "log-softmax": Activation("LogSoftmax", "log_softmax", "log_softmax", "LogSoftmax"),
    "sign": Activation("", "", "sign", "Sign"),
    "threshold": Activation("Threshold", "threshold", "", "Threshold", True),
}
_MEANINGS = {
    **{f"torch.nn.{a.module}": ("class", key) for key, a in ACTIVATIONS.items() if a.module},
    **{name: ("callable", key) for key, a in ACTIVATIONS.items() for name in a.functions},
}
_LAYERS_WITH_NAMES = {
    "torch.nn.RNN": "nonlinearity",
    "torch.nn.RNNCell": "nonlinearity",
    "torch.nn.TransformerEncoderLayer": "activation",
    "torch.nn.TransformerDecoderLayer": "activation",
    "torch.nn.Transformer": "activation",
}
_DEFAULTS = {"nonlinearity": "tanh", "activation": "relu"}


@dataclass(frozen=True, eq=False)
class Use:
    """A place in source where an activation is made, called or named.

    ``kind``: ``constructor`` (``nn.ReLU()``), ``function`` (``F.relu(x)``), ``method`` (``x.relu()``), ``class``
    (``nn.ReLU`` as a value), ``callable`` (``F.relu`` as a value), ``word`` (``activation="relu"``, or its absence).
    """

    source: Source
    node: cst.BaseExpression
    kind: str
    id: str

    @property
    def line(self) -> int:
        """The line that a call of it is counted on."""
        return self.source.head_line(self.node) if isinstance(self.node, cst.Call) else self.source.line(self.node)


def identify(source: Source, node: cst.CSTNode) -> tuple[str, str] | None:
    """Return ``(kind, id)`` of the class or function that a name stands for, or None."""
    return _MEANINGS.get(source.resolve(node) or "")


@lru_cache(maxsize=16)
def uses(source: Source) -> tuple[Use, ...]:
    """Return the activations of a file in the order in which Python evaluates nested calls: inner ones first."""
    return tuple(_uses(source))


def _uses(source: Source) -> Iterator[Use]:
    for node in _inner_first(source.module):
        if isinstance(node, cst.Call):
            yield from _use_of_call(source, node)
        elif isinstance(node, cst.Name | cst.Attribute):
            parent = source.parents.get(node)
            part = isinstance(parent, cst.Attribute) and (parent.attr is node or source.resolve(parent) is not None)
            called = isinstance(parent, cst.Call) and parent.func is node
            bound = source.nearest(node, (cst.Import, cst.ImportFrom)) is not None
            keyword = isinstance(parent, cst.Arg) and parent.keyword is node
            if not (part or called or bound or keyword) and (found := identify(source, node)) is not None:
                yield Use(source, node, *found)


def _use_of_call(source: Source, call: cst.Call) -> Iterator[Use]:
    found = identify(source, call.func)
    if found is not None:
        yield Use(source, call, "constructor" if found[0] == "class" else "function", found[1])
    elif isinstance(call.func, cst.Attribute):
        name = call.func.attr.value
        key = next((k for k, a in ACTIVATIONS.items() if a.short and name in (a.short, a.short + "_")), None)
        if key is not None and source.resolve(call.func) is None:
            yield Use(source, call, "method", key)
    keyword = _LAYERS_WITH_NAMES.get(source.resolve(call.func) or "")
    if keyword is not None:
        word = next((a.value for a in call.args if a.keyword is not None and a.keyword.value == keyword), None)
        if word is None:
            yield Use(source, call, "word", _DEFAULTS[keyword])
        elif isinstance(word, cst.SimpleString) and word.evaluated_value in ACTIVATIONS:
            yield Use(source, call, "word", str(word.evaluated_value))


def word_keyword(source: Source, call: cst.Call) -> str:
    """Return the keyword by which a recurrent or transformer layer is told its activation."""
    return _LAYERS_WITH_NAMES[source.resolve(call.func) or ""]


def _inner_first(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for child in node.children:
        yield from _inner_first(child)
    yield node
