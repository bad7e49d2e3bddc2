"""The order of the training loop: zero_grad, backward, unscale, clip, step."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evengrad.core.event import EventKind

Note = Callable[[EventKind], None]


@dataclass(eq=False)
class _OptimizerState:
    """Where one optimizer is in its loop."""

    stepped: bool = False
    backwards: int = 0  # backward passes since its last step
    zeroed: bool = False  # since its last step
    zeroed_after_backward: bool = False  # with no backward after that
    clipped: bool = False
    accumulating: bool = False  # a backward pass since its last step added to .grad
    witness: Witness | None = None


class Witness:
    """A parameter by whose gradient, as it was after a step, later changes by hand can be told; keeps nothing alive."""

    def __init__(self, parameter: Tensor, gradient: Tensor) -> None:
        self._parameter = weakref.ref(parameter)
        # Holds the identity but not the memory, so that no later tensor can be mistaken for this one.
        self._gradient = torch._C._WeakTensorRef(gradient)  # type: ignore[attr-defined]
        self._key = id(gradient)
        self._version = gradient._version

    def same(self) -> Tensor | None:
        """Return the gradient if it is still the same tensor, changed in place or not."""
        parameter = self._parameter()
        gradient = parameter.grad if parameter is not None else None
        if gradient is None or self._gradient.expired() or id(gradient) != self._key:
            return None
        return gradient

    def untouched(self) -> bool:
        """Return whether the gradient is the same tensor and was not changed."""
        gradient = self.same()
        return gradient is not None and gradient._version == self._version


class Protocol:
    """Follows the loop of each optimizer and notes departures from the order that works."""

    def __init__(self, note: Note) -> None:
        self._tell = note
        self.following = True
        self.steps = 0  # followed so far
        self._states: dict[int, _OptimizerState] = {}
        self._backwards = 0
        self._clips_without_backward = 0
        self._scaled_pending = False  # the last backward ran on a scaled loss, nothing was unscaled since

    def _note(self, kind: EventKind) -> None:
        if self.following:
            self._tell(kind)

    def state(self, optimizer: int) -> _OptimizerState:
        """Return the state of an optimizer, by its index."""
        return self._states.setdefault(optimizer, _OptimizerState())

    def backward(self, optimizers: list[int], *, scaled: bool, accumulating: bool) -> None:
        """Note a backward pass; ``autograd.grad`` leaves ``.grad`` alone and is not accumulating."""
        self._backwards += 1
        self._scaled_pending = scaled
        for state in [self.state(index) for index in optimizers]:
            if accumulating and not state.accumulating and not state.zeroed and state.witness is not None:
                state.zeroed = _cleared(state.witness)
            state.accumulating = state.accumulating or accumulating
            state.backwards += 1
            state.zeroed_after_backward = False

    def zero_grad(self, optimizer: int | None) -> None:
        """Note a ``zero_grad`` of one optimizer, or of a module (None), which counts for all."""
        states = self._states.values() if optimizer is None else [self.state(optimizer)]
        for state in states:
            state.zeroed = True
            state.zeroed_after_backward = state.backwards > 0
            state.clipped = False

    def unscale(self) -> None:
        """Note that a GradScaler unscaled the gradients."""
        self._scaled_pending = False

    def clip(self) -> None:
        """Note a call of one of torch's clipping functions."""
        if self._scaled_pending:
            self._note(EventKind.CLIP_BEFORE_UNSCALE)
        states = list(self._states.values())
        if states and all(state.stepped and not state.backwards for state in states):
            cleared = all(state.zeroed for state in states)
            self._note(EventKind.CLIP_BEFORE_BACKWARD if cleared else EventKind.CLIP_AFTER_STEP)
        elif not self._backwards:
            self._note(EventKind.CLIP_BEFORE_BACKWARD)
        for state in states:
            state.clipped = True

    def step(self, optimizer: int, *, has_gradients: bool) -> None:
        """Note an optimizer step."""
        self.steps += self.following
        state = self.state(optimizer)
        if state.zeroed_after_backward and not has_gradients:
            self._note(EventKind.ZERO_GRAD_BEFORE_STEP)
        elif not state.backwards and state.stepped:
            if not has_gradients:
                self._note(EventKind.STEP_WITHOUT_BACKWARD)
            elif state.witness is not None and state.witness.untouched():
                self._note(EventKind.DOUBLE_STEP)
        elif not self._backwards and not has_gradients:
            self._note(EventKind.STEP_WITHOUT_BACKWARD)
        elif state.accumulating and not state.zeroed and state.witness is not None and state.witness.same() is not None:
            self._note(EventKind.ZERO_GRAD_MISSING)
        state.stepped, state.accumulating = True, False
        state.backwards = 0
        state.zeroed = state.zeroed_after_backward = state.clipped = False

    def stepped(self, optimizer: int, witness: Tensor | None) -> None:
        """Remember, after a step, a parameter by which clearing by hand can be seen."""
        gradient = witness.grad if witness is not None else None
        self.state(optimizer).witness = (
            Witness(witness, gradient) if witness is not None and gradient is not None else None
        )


def _cleared(witness: Witness) -> bool:
    """Return whether a gradient was cleared, by whatever means, since the step after which it was noted."""
    gradient = witness.same()
    if gradient is None or not witness.untouched():
        return True
    return gradient.device.type == "cpu" and not bool(gradient.any())
