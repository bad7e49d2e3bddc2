"""Which module an operation belongs to: autograd sequence numbers at module entry and exit, on probe steps only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from evengrad.observation.registry import Registry
from evengrad.observation.sources import calling_line

_sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
_in_backward: Callable[[], int] = torch._C._current_graph_task_id


@dataclass
class Call:
    """One call of a module: the sequence numbers ``[start, end)`` of the operations recorded during it."""

    module: nn.Module
    start: int
    end: int = -1
    parent: Call | None = None

    def contains(self, sequence: int) -> bool:
        """Return whether an operation was recorded during the call, which may still be going on."""
        return self.start <= sequence and (self.end == -1 or sequence < self.end)


@dataclass
class RecurrentCall:
    """A call of a recurrent module, kept so that its gradient through time can be measured after the backward pass."""

    module: nn.RNNBase
    inputs: tuple[object, ...]
    output_gradient: list[Tensor] = field(default_factory=list)
    state_gradient: list[Tensor] = field(default_factory=list)  # of the final hidden state


class CallRecorder:
    """Records module calls while it is armed."""

    def __init__(self, registry: Registry, blow: Callable[[str, Exception], None]) -> None:
        self._registry = registry
        self._blow = blow
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._output_handles: list[torch.utils.hooks.RemovableHandle] = []
        self._stack: list[Call] = []
        self._starts: list[int] = []
        self.calls: list[Call] = []
        self.recurrent: list[RecurrentCall] = []

    @property
    def armed(self) -> bool:
        """Whether module calls are being recorded."""
        return bool(self._handles)

    def arm(self) -> None:
        """Start to record; forgets earlier calls."""
        self.clear()
        if not self._handles:
            self._handles = [
                torch_module.register_module_forward_pre_hook(self._enter),
                torch_module.register_module_forward_hook(self._leave, always_call=True),
            ]

    def disarm(self) -> None:
        """Stop recording; what was recorded stays until ``clear``."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stack = []

    def clear(self) -> None:
        """Forget the recorded calls and the tensors they hold."""
        for handle in self._output_handles:
            handle.remove()
        self.calls, self._stack, self.recurrent, self._starts, self._output_handles = [], [], [], [], []

    def _enter(self, module: nn.Module, inputs: object) -> None:
        try:
            if _in_backward() != -1 or torch._C._get_tracing_state() is not None:
                return
            self._registry.add(module)
            # Under no_grad a module is used, but not meant to learn.
            if torch.is_grad_enabled() and not self._registry.was_called(module):
                self._registry.note_call(module, calling_line())
            self._stack.append(Call(module, _sequence_number(), parent=self._stack[-1] if self._stack else None))
        except Exception as error:
            self._blow("module entry", error)

    def _leave(self, module: nn.Module, inputs: object, output: object) -> None:
        try:
            if _in_backward() != -1:
                return
            while self._stack:
                call = self._stack.pop()
                call.end = _sequence_number()
                if call.end > call.start:
                    self.calls.append(call)
                if call.module is module:
                    break
            if isinstance(module, nn.RNNBase) and isinstance(inputs, tuple) and torch.is_grad_enabled():
                self._keep_recurrent(module, inputs, output)
        except Exception as error:
            self._blow("module exit", error)

    def _keep_recurrent(self, module: nn.RNNBase, inputs: tuple[object, ...], output: object) -> None:
        states = output[0] if isinstance(output, tuple) else None
        if not isinstance(states, Tensor) or not states.requires_grad or len(self.recurrent) >= 8:
            return
        call = RecurrentCall(module, inputs)
        self._receive(states, call.output_gradient)
        final = output[1] if isinstance(output, tuple) else None
        self._receive(final[0] if isinstance(final, tuple) else final, call.state_gradient)
        self.recurrent.append(call)

    def _receive(self, tensor: object, received: list[Tensor]) -> None:
        """Keep the gradient that a tensor gets. The hook holds the list only: cycles through C++ are never found."""
        if isinstance(tensor, Tensor) and tensor.requires_grad:
            handle = tensor.register_hook(lambda gradient: received.append(gradient.detach()))  # type: ignore[no-untyped-call]
            self._output_handles.append(handle)

    def module_of(self, sequence: int) -> nn.Module | None:
        """Return the innermost module during whose call an operation was recorded."""
        if len(self._starts) != len(self.calls):
            # Of calls that start together the outer one ends last; sorted before the inner ones.
            self.calls.sort(key=lambda call: (call.start, -call.end))
            self._starts = [call.start for call in self.calls]
        position = bisect_right(self._starts, sequence) - 1
        # Calls nest: what contains the operation is the nearest earlier call, or one of those round it.
        call = self.calls[position] if position >= 0 else None
        while call is not None and not call.contains(sequence):
            call = call.parent
        return call.module if call is not None else None
