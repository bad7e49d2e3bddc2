"""Gradient through time inside a fused recurrent kernel: the recorded sequence is walked once more, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evengrad.core.ledger import TimeProfile
from evengrad.observation.calls import RecurrentCall
from evengrad.observation.registry import Registry
from evengrad.probes._sizes import norm, resolve

_MOST_ENTRIES = 1 << 24  # of the input sequence; a longer one is not walked again
_MOST_STEPS = 2000


def time_profile(call: RecurrentCall, registry: Registry, step: int, scale: float) -> TimeProfile | None:
    """Return the norm of dL/dh_t over the time steps of one recorded call, all layers together.

    The module is applied one time step at a time to detached inputs, in evaluation mode of its dropout, and the
    gradient that its output received is sent back. No parameter's ``.grad`` is touched and no random number is drawn.

    Args:
        call: A recorded call whose output has received its gradient.
        registry: Names.
        step: Optimizer step the call belongs to.
        scale: Loss scale in force.

    Returns:
        The profile; None for packed, unbatched or bidirectional sequences, and where no gradient arrived.
    """
    module, inputs = call.module, call.inputs
    got = call.output_gradient or call.state_gradient
    if module.bidirectional or int(module.proj_size) or not got or not inputs:
        return None
    sequence = inputs[0]
    # A PackedSequence is a tuple, and left out here too.
    if not isinstance(sequence, Tensor) or sequence.dim() != 3:
        return None
    steps = sequence.shape[1 if module.batch_first else 0]
    if steps < 3 or steps > _MOST_STEPS or sequence.numel() > _MOST_ENTRIES:
        return None
    dim = 1 if module.batch_first else 0
    outputs, hidden = _walk(module, sequence.detach(), inputs[1] if len(inputs) > 1 else None, dim)
    targets, seeds = [], []
    if call.output_gradient:
        targets += outputs
        seeds += [call.output_gradient[-1].narrow(dim, t, 1) for t in range(steps)]
    if call.state_gradient:
        targets.append(hidden[-1])
        seeds.append(call.state_gradient[-1])
    flowing = torch.autograd.grad(targets, hidden, seeds, allow_unused=True)
    flows: Sequence[Tensor | None] = flowing
    norms = resolve([0.0 if flow is None else norm(flow.detach()) for flow in flows])
    name = registry.name_of_module(module) or ""
    return TimeProfile(step, name, "hidden", tuple(value / scale for value in norms), registry.defined(id(module)))


def _walk(module: nn.RNNBase, sequence: Tensor, initial: object, dim: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs and the hidden states that enter the *next* time step, each with a graph between them."""
    dropout = module.dropout
    outputs: list[Tensor] = []
    hidden: list[Tensor] = []
    state = _detached(initial)
    module.__dict__["dropout"] = 0.0
    try:
        with torch.enable_grad():
            for t in range(sequence.shape[dim]):
                arguments = (sequence.narrow(dim, t, 1),) if state is None else (sequence.narrow(dim, t, 1), state)
                _, state = type(module).forward(module, *arguments)
                first = state[0] if isinstance(state, tuple) else state
                # A view of its own, so that what this step's output and the next step send both arrive here.
                first = first.clone()
                state = (first, *state[1:]) if isinstance(state, tuple) else first
                hidden.append(first)
                outputs.append(first[-1].unsqueeze(dim))  # the top layer's state is the output
    finally:
        module.__dict__["dropout"] = dropout
    return outputs, hidden


def _detached(state: object) -> object:
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else None
