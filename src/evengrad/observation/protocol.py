"""The order of the training loop: zero_grad, backward, unscale, clip, step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    witness: Tensor | None = None  # a parameter whose .grad tells whether it was cleared by hand
    witness_grad: tuple[int, int] = (0, 0)  # identity and version of its gradient after the step


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

    def backward(self, *, scaled: bool) -> None:
        """Note a backward pass."""
        self._backwards += 1
        self._scaled_pending = scaled
        for state in self._states.values():
            self._look_at_witness(state)
            state.backwards += 1
            state.zeroed_after_backward = False

    def _look_at_witness(self, state: _OptimizerState) -> None:
        """Find out, before the first backward after a step, whether gradients were cleared without ``zero_grad``."""
        if state.backwards or state.zeroed or state.witness is None:
            return
        gradient = state.witness.grad
        state.zeroed = gradient is None or (id(gradient), gradient._version) != state.witness_grad
        if not state.zeroed and gradient is not None and gradient.device.type == "cpu":
            state.zeroed = not bool(gradient.count_nonzero())

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
            self._note(EventKind.DOUBLE_STEP if has_gradients else EventKind.STEP_WITHOUT_BACKWARD)
        elif not self._backwards and not has_gradients:
            self._note(EventKind.STEP_WITHOUT_BACKWARD)
        elif state.stepped and not state.zeroed and state.witness is not None and state.backwards:
            self._note(EventKind.ZERO_GRAD_MISSING)
        state.stepped = True
        state.backwards = 0
        state.zeroed = state.zeroed_after_backward = state.clipped = False

    def stepped(self, optimizer: int, witness: Tensor | None) -> None:
        """Remember, after a step, a parameter by which clearing by hand can be seen."""
        state = self.state(optimizer)
        state.witness = witness if witness is not None and witness.grad is not None else None
        gradient = state.witness.grad if state.witness is not None else None
        state.witness_grad = (id(gradient), gradient._version) if gradient is not None else (0, 0)
