"""The neighbourhoods of layers guessed from the order in which a model defines its modules; no batch needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from evengrad.errors import UsageError
from evengrad.theory.activation import Activation
from evengrad.theory.lookup import as_activation
from evengrad.treatment.initialisation.layers import NORMALISATIONS, Kind, Layer
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side, Wiring

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Step:
    """One module in the order of definition: a layer, an activation or a normalisation."""

    side: Side
    parent: nn.Module
    layer: Layer | None = None
    activation: Activation | None = None


def wiring_by_order(model: nn.Module, layers: Sequence[Layer], assumed: Activation | None) -> Wiring:
    """Guess what stands before and after every layer.

    Between neighbours in one ``nn.Sequential`` the order is the flow. Elsewhere an activation that is called as a
    function, or shared, does not show; it is taken to be ``assumed``, else the only kind of activation module in the
    model, else ReLU.

    Args:
        model: The model.
        layers: Its layers.
        assumed: What the user says the activation is.

    Returns:
        The neighbourhoods.
    """
    steps = list(_steps(model, layers))
    guess, words = _guess(steps, assumed)
    around: dict[int, Neighbourhood] = {}
    guessed = 0
    positions = [position for position, step in enumerate(steps) if step.layer is not None]
    for number, position in enumerate(positions):
        step = steps[position]
        assert step.layer is not None
        before = _neighbour(steps, position, -1, guess)
        after = _neighbour(steps, position, 1, guess)
        found = replace(
            before,
            after=after.before,
            feeds=after.reads,
            is_head=number == len(positions) - 1 and step.layer.kind is not Kind.EMBEDDING,
            known=before.known,
        )
        guessed += not before.known
        for leaf in step.layer.leaves:
            around.setdefault(id(leaf), found)
    seen = "the order of modules (no batch)"
    if guessed:
        seen += f"; {words} where none is between two layers"
    return Wiring(around, seen)


def _steps(model: nn.Module, layers: Sequence[Layer]) -> Iterator[_Step]:
    by_module: dict[int, list[Layer]] = {}
    for layer in layers:
        by_module.setdefault(id(layer.module), []).append(layer)
    parents = {id(child): parent for parent in model.modules() for child in parent.children()}
    for module in model.modules():
        parent = parents.get(id(module), model)
        for layer in by_module.get(id(module), ()):
            yield _Step(Side.LAYER, parent, layer)
        if isinstance(module, NORMALISATIONS):
            yield _Step(Side.NORMALISATION, parent)
        elif id(module) not in by_module and (activation := activation_of(module)) is not None:
            yield _Step(Side.ACTIVATION, parent, activation=activation)


def activation_of(module: nn.Module) -> Activation | None:
    """Return the element-wise activation that a module is, or ``None``."""
    if isinstance(module, nn.PReLU):
        slope = float(module.weight.detach().double().mean())
        return as_activation("prelu", {"init": slope})
    if next(module.children(), None) is not None or next(module.parameters(), None) is not None:
        return None
    own = type(module).__module__
    if own.startswith("torch.") and own != "torch.nn.modules.activation":
        return None
    if isinstance(module, nn.MultiheadAttention | nn.Identity):
        return None
    try:
        return as_activation(module)
    except (UsageError, RuntimeError, TypeError, ValueError) as error:
        _logger.debug("%s is not taken for an activation: %s", type(module).__name__, error)
        return None


def _guess(steps: Sequence[_Step], assumed: Activation | None) -> tuple[Activation, str]:
    if assumed is not None:
        return assumed, f"{assumed.label} as given"
    labels = {step.activation.label: step.activation for step in steps if step.activation is not None}
    if len(labels) == 1:
        only = next(iter(labels.values()))
        return only, f"{only.label} assumed, the model's only activation"
    return as_activation("relu"), "relu assumed (pass a batch, or activation=...)"


def _neighbour(steps: Sequence[_Step], position: int, way: int, guess: Activation) -> Neighbourhood:
    """Return a neighbourhood whose ``before`` and ``reads`` say what stands on one side of a layer."""
    here = steps[position]
    index = position + way
    normalised = False
    while 0 <= index < len(steps):
        step = steps[index]
        if step.side is Side.ACTIVATION:
            below = steps[index - 1] if index else None
            # A normalised activation reads variance 1 whatever the layer below gives.
            fed = below.layer if way < 0 and below is not None and below.layer is not None else None
            source = id(fed.leaves[0]) if fed is not None else None
            return Neighbourhood(Side.ACTIVATION, Side.OUTPUT, step.activation, source=source)
        if step.side is Side.NORMALISATION:
            if way > 0:  # what the normalisation feeds does not matter to the layer before it
                return Neighbourhood(Side.NORMALISATION, Side.OUTPUT)
            normalised = True
        if step.side is Side.LAYER:
            return _between(here, step, guess, normalised=normalised)
        if normalised and way < 0:
            return Neighbourhood(Side.NORMALISATION, Side.OUTPUT)
        index += way
    end = Side.DATA if way < 0 else Side.OUTPUT
    return Neighbourhood(Side.NORMALISATION if normalised else end, Side.OUTPUT)


def _between(here: _Step, other: _Step, guess: Activation, *, normalised: bool) -> Neighbourhood:
    """Return what stands between two layers that follow each other in the order of definition."""
    if normalised:
        return Neighbourhood(Side.NORMALISATION, Side.OUTPUT)
    linear = other.layer is not None and other.layer.kind in (Kind.EMBEDDING, Kind.PROJECTION)
    attention = here.layer is not None and other.parent is here.layer.module
    sequential = here.parent is other.parent and isinstance(here.parent, nn.Sequential)
    if linear or attention or sequential:
        return Neighbourhood(Side.LAYER, Side.OUTPUT)
    source = id(other.layer.leaves[0]) if other.layer is not None else None
    return Neighbourhood(Side.ACTIVATION, Side.OUTPUT, guess, source=source, known=False)
