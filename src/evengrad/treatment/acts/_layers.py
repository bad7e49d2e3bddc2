"""The layers that an act on layers means, and what else such acts share."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from evengrad.errors import TreatmentError
from evengrad.treatment.initialisation.layers import CONVOLUTIONS, TRANSPOSED
from evengrad.treatment.initialisation.tracing import feed, undisturbed
from evengrad.treatment.live import LiveRun, Undo

LAYERS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)


def hidden_layers(run: LiveRun, names: Collection[str]) -> dict[str, nn.Module]:
    """Return the layers of some names; without names every Linear and convolution but the last of the forward pass.

    With a batch the order is that of the calls, else that of definition.

    Args:
        run: The run.
        names: Names of layers.

    Returns:
        The layers by name, each once.

    Raises:
        TreatmentError: A name is no layer's.
    """
    if names:
        chosen = {name: run.module(name) for name in names}
        other = next((name for name, module in chosen.items() if not isinstance(module, LAYERS)), None)
        if other is not None:
            raise TreatmentError(
                f"expected Linear or convolutional layers, `{other}` is a {type(chosen[other]).__name__}"
            )
        return chosen
    layers: dict[str, nn.Module] = {
        name: module for name, module in run.root.named_modules() if isinstance(module, LAYERS)
    }
    order = list(layers)
    if run.batch is not None:
        order = _called(run, layers) or order
    return {name: layers[name] for name in order[:-1]}


def _called(run: LiveRun, layers: dict[str, nn.Module]) -> list[str]:
    names = {id(module): name for name, module in layers.items()}
    called: list[str] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if names[id(module)] not in called:
            called.append(names[id(module)])

    handles = [module.register_forward_hook(note) for module in layers.values()]
    try:
        with undisturbed(run.root), torch.no_grad():
            feed(run.root, run.required_batch("the order of layers"))
    finally:
        for handle in handles:
            handle.remove()
    return called


def add_parameters(run: LiveRun, parameters: list[nn.Parameter]) -> None:
    """Hand new parameters to the optimizer, in its last group; the snapshot knows the group as it was."""
    if run.optimizer is not None and parameters:
        run.optimizer.param_groups[-1]["params"].extend(parameters)


def like(run: LiveRun, module: nn.Module, beside: nn.Module | None = None) -> nn.Module:
    """Return a new module on the device, in the dtype and in the mode of the model's, or of one beside it."""
    owner = beside if beside is not None else run.root
    example: Tensor | None = next((p for p in owner.parameters() if p.is_floating_point()), None)
    if example is not None:
        module.to(device=example.device, dtype=example.dtype)
    return module.train(owner.training)


def hook(undo: Undo, handle: torch.utils.hooks.RemovableHandle) -> None:
    """Note that a hook is to be removed."""
    undo.add(handle.remove)
