"""Add the input of each block to its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._calls import Call, Invocation, during_forward
from evengrad.treatment.acts._layers import LAYERS, hidden_layers, hook
from evengrad.treatment.initialisation.tracing import feed, undisturbed
from evengrad.treatment.live import LiveRun, Undo


@dataclass(eq=False)
class _Open:
    """Layers that were called in this forward pass and whose activation is still to come."""

    inputs: dict[int, tuple[Tensor, Tensor, str]] = field(default_factory=dict)  # by id of the output
    closed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Skip(AbstractAct):
    """Turns ``x = act(layer(x))`` into ``x = x + scale * act(layer(x))``; other blocks give x + scale * block(x).

    A layer's block ends with the activation that is applied to its output itself. Without names: every layer of equal
    input and output size, save the last.

    Source:
        He et al., CVPR 2016.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Add shortcuts."""
        scale = change.number("scale", 1.0)
        layers = self._layers(change, run)
        blocks = [run.module(name) for name in change.modules if name not in layers]
        if not layers and not blocks:
            raise TreatmentError(
                "no layer has inputs and outputs of the same size: name the blocks that get a shortcut"
            )
        pending = _Open()
        for name, layer in layers.items():
            hook(undo, layer.register_forward_hook(_opens(name, pending)))
        for block in blocks:
            hook(undo, block.register_forward_hook(_shortcut(scale)))
        if layers:
            during_forward(run, undo, _closes(pending, scale), begin=pending.inputs.clear)
        if layers and run.batch is not None:
            self._check(run, layers, pending)

    @staticmethod
    def _layers(change: Change, run: LiveRun) -> dict[str, nn.Module]:
        if change.modules:
            named = {name: run.module(name) for name in change.modules}
            return {name: module for name, module in named.items() if isinstance(module, LAYERS)}
        hidden = hidden_layers(run, ())
        return {name: module for name, module in hidden.items() if _is_square(module)}

    @staticmethod
    def _check(run: LiveRun, layers: dict[str, nn.Module], pending: _Open) -> None:
        with undisturbed(run.root), torch.no_grad():
            feed(run.root, run.required_batch("a shortcut"))
        missed = [name for name in layers if name not in pending.closed]
        if missed:
            raise TreatmentError(f"no activation is applied to the output of `{missed[0]}`: name the block instead")


def _is_square(module: nn.Module) -> bool:
    if isinstance(module, nn.Linear):
        return module.in_features == module.out_features
    assert isinstance(module, nn.modules.conv._ConvNd), "layers are linear or convolutions"
    kept = isinstance(module.padding, tuple) and all(
        2 * pad == step * (size - 1)
        for pad, size, step in zip(module.padding, module.kernel_size, module.dilation, strict=True)
    )
    return (
        module.in_channels == module.out_channels and set(module.stride) == {1} and (kept or module.padding == "same")
    )


def _opens(name: str, pending: _Open) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
    def after(layer: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        if isinstance(inputs[0], Tensor) and inputs[0].shape == output.shape:
            pending.inputs[id(output)] = (inputs[0], output, name)  # the output is kept so that its id stays its own

    return after


def _closes(pending: _Open, scale: float) -> Callable[[Call, Invocation], object]:
    def visit(call: Call, invocation: Invocation) -> object:
        opened = pending.inputs.pop(id(invocation.data), None)
        result = invocation.make()
        if opened is None or not isinstance(result, Tensor):
            return result
        pending.closed.add(opened[2])
        return opened[0] + scale * result

    return visit


def _shortcut(scale: float) -> Callable[[nn.Module, tuple[object, ...], Tensor], Tensor]:
    def after(block: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
        assert isinstance(inputs[0], Tensor), "a block is called with data"
        return inputs[0] + scale * output

    return after


ACT = Skip()
