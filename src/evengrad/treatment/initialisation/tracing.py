"""The neighbourhoods of layers as one batch shows them: a forward pass, and a walk of the graph it leaves."""

from __future__ import annotations

import dataclasses
import logging
import sys
import types
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode

from evengrad.errors import UsageError
from evengrad.observation.calls import CallRecorder
from evengrad.observation.graph import Graph, is_too_large
from evengrad.observation.registry import Registry
from evengrad.theory.activation import Activation
from evengrad.theory.lookup import as_activation
from evengrad.treatment.initialisation.by_order import activation_of
from evengrad.treatment.initialisation.draws import untouched_randomness
from evengrad.treatment.initialisation.flow import Flow
from evengrad.treatment.initialisation.layers import RECURRENT, Kind, Layer, owners_of_leaves
from evengrad.treatment.initialisation.matrices import bare_layers
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Wiring

_logger = logging.getLogger(__name__)

Batch = Tensor | Sequence[object] | Mapping[str, object] | Callable[[nn.Module], object]

_NAMED = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
_sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
_PARAMETERS = {
    "leaky_relu": ("negative_slope",), "elu": ("alpha",), "celu": ("alpha",), "hardtanh": ("min_val", "max_val"),
    "softplus": ("beta", "threshold"), "threshold": ("threshold", "value"), "gelu": ("approximate",),
    "hardshrink": ("lambd",), "softshrink": ("lambd",), "rrelu": ("lower", "upper"),
    "relu": (), "relu6": (), "selu": (), "silu": (), "mish": (), "tanh": (), "sigmoid": (), "softsign": (),
    "tanhshrink": (), "hardswish": (), "hardsigmoid": (), "logsigmoid": (), "erf": (), "sin": (),
}  # fmt: skip


class GraphTooLargeError(Exception):
    """A batch leaves a graph that may not be walked."""


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The operations recorded during one call of an activation function."""

    start: int
    end: int
    activation: Activation


class _ActivationRecorder(TorchFunctionMode):
    """Notes which operations belong to which call of an activation, whatever it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Labelled] = []

    def __torch_function__(
        self,
        func: Callable[..., object],
        kinds: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        start = _sequence_number()
        result = func(*args, **(kwargs or {}))
        end = _sequence_number()
        if end > start:
            activation = called_activation(func, args[1:], kwargs or {})
            if activation is not None:
                self.found.append(_Labelled(start, end, activation))
        return result

    def at(self, sequence: int) -> Activation | None:
        """Return the activation during whose call an operation was recorded."""
        position = bisect_right(self.found, sequence, key=lambda label: label.start) - 1
        if position >= 0 and sequence < self.found[position].end:
            return self.found[position].activation
        return None


def called_activation(
    func: object, positional: tuple[object, ...], keywords: Mapping[str, object]
) -> Activation | None:
    """Return the activation that a call of a torch function is, or ``None``."""
    name = func.__name__.rstrip("_") if isinstance(func, _NAMED) else ""
    if name == "prelu" and positional and isinstance(positional[0], Tensor):
        return as_activation("prelu", {"init": float(positional[0].detach().double().mean())})
    if name in ("clamp", "clamp_min") and (positional[:1] == (0,) or keywords.get("min") == 0):
        bounded = len(positional) > 1 or keywords.get("max") is not None
        return None if bounded else as_activation("relu")
    known = _PARAMETERS.get(name)
    if known is None:
        return None
    given = dict(zip(known, positional, strict=False)) | {key: keywords[key] for key in known if key in keywords}
    numbers = {key: value for key, value in given.items() if isinstance(value, (int, float, str))}
    return as_activation(
        name, {key: value if isinstance(value, str) else float(value) for key, value in numbers.items()}
    )


class _Inputs:
    """What each module reads: its mean square, and for recurrent layers the number of time steps; by module's id."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._modules = {id(layer.module) for layer in layers}
        self.squares: dict[int, float] = {}
        self.lengths: dict[int, int] = {}

    def __call__(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        """Note the first call of a module."""
        first = inputs[0] if inputs else None
        if isinstance(module, nn.RNNBase) and id(module) not in self.lengths:
            self.lengths[id(module)] = _steps(module, first)
        if isinstance(first, nn.utils.rnn.PackedSequence):
            first = first.data
        wanted = id(module) in self._modules or isinstance(module, RECURRENT)
        if wanted and id(module) not in self.squares and isinstance(first, Tensor) and _is_data(first):
            self.squares[id(module)] = float(first.detach().abs().double().square().mean())


def _is_data(tensor: Tensor) -> bool:
    return tensor.numel() > 0 and (tensor.is_floating_point() or tensor.is_complex())


def _steps(module: nn.RNNBase, inputs: object) -> int:
    if isinstance(inputs, nn.utils.rnn.PackedSequence):
        return len(inputs.batch_sizes)
    if not isinstance(inputs, Tensor):
        return 0
    return inputs.shape[1] if module.batch_first and inputs.dim() == 3 else inputs.shape[0]


def wiring_by_batch(model: nn.Module, layers: Sequence[Layer], batch: Batch) -> Wiring:
    """Find what stands before and after every layer, in one forward pass.

    Args:
        model: The model; its buffers, its gradients and the random state are as before afterwards.
        layers: Its layers.
        batch: What to feed it.

    Returns:
        The neighbourhoods, in order of data flow.

    Raises:
        UsageError: The model does not take the batch, or its output depends on no parameter.
        GraphTooLargeError: The graph may not be walked.
    """
    registry = Registry()
    registry.give(model)
    registry.name_everything(list(model.parameters()))
    calls = CallRecorder(registry, log_fault)
    recorder, sizes = _ActivationRecorder(), _Inputs(layers)
    since = _sequence_number()
    with ExitStack() as stack:
        stack.enter_context(undisturbed(model))
        stack.enter_context(_all_learning(model))
        stack.callback(calls.clear)
        stack.callback(calls.disarm)
        calls.arm()
        stack.callback(torch_module.register_module_forward_pre_hook(sizes).remove)
        with recorder:
            output = feed(model, anchored_batch(batch))
        roots = [tensor for tensor in tensors_in(output) if tensor.grad_fn is not None]
        if not roots:
            raise UsageError("the model's output depends on no parameter for this batch; pass what training feeds it")
        if is_too_large(roots, since):
            raise GraphTooLargeError
        graph = Graph(roots, registry, calls)
        return _wire(graph, model, layers, recorder, sizes)


def _wire(
    graph: Graph, model: nn.Module, layers: Sequence[Layer], recorder: _ActivationRecorder, sizes: _Inputs
) -> Wiring:
    modules = {id(module): module for module in model.modules()}
    of_module: dict[int, Activation | None] = {}

    def recognise(index: int) -> Activation | None:
        operation = graph.operations[index]
        labelled = recorder.at(operation.sequence)
        if labelled is not None:
            return labelled
        owner = modules.get(operation.module_id)
        if owner is None:
            return None
        if id(owner) not in of_module:
            of_module[id(owner)] = activation_of(owner)
        return of_module[id(owner)]

    flow = Flow(graph, recognise)
    owners = owners_of_leaves(layers)
    gates = {id(p) for module in model.modules() if isinstance(module, RECURRENT) for p in module.parameters()}
    bare = tuple(bare_layers(graph, model, gates | set(owners)))
    wanted = owners | owners_of_leaves(bare)

    def key_of(index: int) -> int | None:
        return next((id(leaf) for leaf in graph.operations[index].weights if id(leaf) in wanted), None)

    around: dict[int, Neighbourhood] = {}
    for index in graph.layers():
        for leaf in graph.operations[index].weights:
            layer = wanted.get(id(leaf))
            looked_up = graph.operations[index].name.startswith("Embedding")
            if layer is None or id(leaf) in around or looked_up is not (layer.kind is Kind.EMBEDDING):
                continue  # a matrix that is looked up and multiplied with is what it is multiplied as
            found = flow.around(index, key_of)
            around[id(leaf)] = replace(found, input_square=sizes.squares.get(id(layer.module)))
    return Wiring(around, "one batch", bare, squares=sizes.squares, lengths=sizes.lengths)


class _FromData(torch.autograd.Function):
    """Gives data a node in the graph, so that a sum with it shows; an anchor makes autograd record it."""

    @staticmethod
    def forward(ctx: object, data: Tensor, anchor: Tensor) -> Tensor:
        """Return a copy of the data."""
        return data.clone()


def anchored_batch(batch: Batch) -> Batch:
    """Return a batch whose floating tensors are copies with a node in the graph."""
    anchor = torch.zeros((), requires_grad=True)

    def anchored(value: object) -> object:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout is not torch.strided:
            return value
        result: object = _FromData.apply(value.detach(), anchor)  # type: ignore[no-untyped-call]
        return result

    if isinstance(batch, Tensor):
        result = anchored(batch)
        assert isinstance(result, Tensor)
        return result
    if isinstance(batch, Mapping):
        return {key: anchored(value) for key, value in batch.items()}
    return batch if callable(batch) else [anchored(value) for value in batch]


def feed(model: nn.Module, batch: Batch) -> object:
    """Return the model's output for a batch.

    Args:
        model: The model.
        batch: A tensor, positional arguments, keyword arguments, or a function of the model.

    Raises:
        UsageError: The model does not take it.
    """
    try:
        if isinstance(batch, Tensor):
            return model(batch)
        if isinstance(batch, Mapping):
            return model(**batch)
        if callable(batch):
            return batch(model)
        return model(*batch)
    except Exception as error:
        hint = "pass its arguments as a tuple or dict, without targets, or a function of the model"
        raise UsageError(f"the model does not take the batch ({type(error).__name__}: {error}); {hint}") from error


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in an output, however nested."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tensors_in(inner)
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from tensors_in(inner)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from tensors_in(vars(value).get(entry.name))


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run forward passes that leave buffers and random state as they were; compiled code runs as it was written."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    kept = [(owner, name, value) for owner in model.modules() for name, value in owner._buffers.items()]
    # Importing the compiler takes seconds; nothing is compiled unless somebody has imported it already.
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    with untouched_randomness(), eager, torch.enable_grad():
        try:
            yield
        finally:
            for owner, name, value in kept:
                owner._buffers[name] = value
            with torch.no_grad():
                for buffer, old in buffers:
                    buffer.copy_(old)


@contextmanager
def _all_learning(model: nn.Module) -> Iterator[None]:
    """Let every floating parameter require grad, so that frozen parts show in the graph."""
    frozen = [p for p in model.parameters() if not p.requires_grad and (p.is_floating_point() or p.is_complex())]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def log_fault(what: str, error: Exception) -> None:
    """Log what an observer could not do; the forward pass goes on."""
    _logger.debug("%s: %s", what, error, exc_info=error)
