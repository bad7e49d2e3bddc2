"""Calls of activation functions in a forward pass: which site each belongs to, and who stands in for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from evengrad.errors import TreatmentError
from evengrad.observation.calls import CallRecorder
from evengrad.observation.graph import Graph, is_too_large
from evengrad.observation.registry import Registry
from evengrad.observation.sources import is_user_file
from evengrad.treatment.initialisation.tracing import (
    anchored_batch,
    called_activation,
    feed,
    log_fault,
    tensors_in,
    undisturbed,
)
from evengrad.treatment.live import LiveRun, Undo

Place = tuple[str, int]  # file and line; "" and the id of an activation module
Call = tuple[Place, int]  # the n-th call at a place in one forward pass
_TRANSPARENT = tuple(
    os.path.join("torch", *path) for path in (("overrides.py",), ("nn", "functional.py"), ("_tensor.py",))
)
_ACTIVATION_MODULES = os.path.join("torch", "nn", "modules", "activation.py")


@dataclass(frozen=True, eq=False)
class Invocation:
    """A call of an activation function that is about to be made."""

    function: Callable[..., object]
    arguments: tuple[object, ...]
    keywords: Mapping[str, object]

    @property
    def data(self) -> Tensor:
        """What the function is applied to."""
        found = self.arguments[0]
        assert isinstance(found, Tensor), "only calls on tensors are handed out"
        return found

    def make(self) -> object:
        """Make the call."""
        return self.function(*self.arguments, **self.keywords)

    def replaced_by(self, other: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply another function; into the same tensor where the call would have written there."""
        in_place = self.function.__name__.endswith("_") or self.keywords.get("inplace") is True
        return self.data.copy_(other(self.data.clone())) if in_place else other(self.data)


Visit = Callable[[Call, Invocation], object]


class ActivationCalls(TorchFunctionMode):
    """Hands every call of an activation function from the user's code, or an activation module's, to a visitor."""

    def __init__(self, visit: Visit) -> None:
        super().__init__()
        self._visit = visit
        self._counts: dict[Place, int] = {}

    def begin(self) -> None:
        """Begin a forward pass: number calls from 0 again."""
        self._counts = {}

    def __torch_function__(
        self,
        func: Callable[..., object],
        kinds: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        named = kwargs or {}
        on_tensor = bool(args) and isinstance(args[0], Tensor)
        place = None
        if on_tensor and called_activation(func, args[1:], named) is not None:
            place = _place(sys._getframe(1))
        if place is None:
            return func(*args, **named)
        number = self._counts.get(place, 0)
        self._counts[place] = number + 1
        return self._visit((place, number), Invocation(func, args, named))


def _place(frame: FrameType | None) -> Place | None:
    """Return where an activation function is called from, if that is the user's code or an activation module."""
    while frame is not None and frame.f_code.co_filename.endswith(_TRANSPARENT):
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    if file.endswith(_ACTIVATION_MODULES):
        return "", id(frame.f_locals.get("self"))
    return (os.path.abspath(file), frame.f_lineno) if is_user_file(file) else None


def during_forward(run: LiveRun, undo: Undo, visit: Visit, *, begin: Callable[[], None] | None = None) -> None:
    """Let a visitor stand in for activation functions in every forward pass of the model.

    Args:
        run: The run.
        undo: Is told how to stop.
        visit: Makes the call, or something else.
        begin: Is called at the beginning of each forward pass.
    """
    mode = ActivationCalls(visit)

    def enter(module: nn.Module, inputs: object) -> None:
        mode.begin()
        if begin is not None:
            begin()
        mode.__enter__()  # type: ignore[no-untyped-call]

    def leave(module: nn.Module, inputs: object, output: object) -> None:
        mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    undo.add(run.root.register_forward_pre_hook(enter).remove)
    undo.add(run.root.register_forward_hook(leave, always_call=True).remove)


def calls_of_sites(run: LiveRun) -> dict[str, list[Call]]:
    """Return the calls that make up each activation site, from one forward pass of the batch.

    Raises:
        TreatmentError: The batch leaves no graph, or one that is too large to walk.
    """
    root, batch = run.root, run.required_batch("finding the calls of an activation")
    registry = Registry()
    registry.give(root)
    registry.name_everything(list(root.parameters()))
    recorder = CallRecorder(registry, log_fault)
    made: list[tuple[int, int, Call]] = []

    def visit(call: Call, invocation: Invocation) -> object:
        start = torch._C._autograd._get_sequence_nr()
        result = invocation.make()
        made.append((start, torch._C._autograd._get_sequence_nr(), call))
        return result

    since = torch._C._autograd._get_sequence_nr()
    with undisturbed(root):
        recorder.arm()
        try:
            with ActivationCalls(visit):
                roots = [t for t in tensors_in(feed(root, anchored_batch(batch))) if t.grad_fn is not None]
            if not roots or is_too_large(roots, since):
                raise TreatmentError("expected a batch that leaves a graph of at most 20,000 operations")
            graph = Graph(roots, registry, recorder)
        finally:
            recorder.disarm()
            recorder.clear()
    found: dict[str, list[Call]] = {}
    for operation in graph.operations:
        for start, end, call in made:
            if operation.site and not operation.is_layer and start <= operation.sequence < end:
                found.setdefault(operation.site, []).append(call)
    return found
