"""Draw a model's weights anew, in place."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from evengrad.core.discover import catalogue
from evengrad.errors import UsageError
from evengrad.observation.registry import unwrapped
from evengrad.theory.activation import Activation
from evengrad.theory.lookup import ActivationLike, as_activation
from evengrad.treatment.initialisation import draws
from evengrad.treatment.initialisation.adjust import adjust
from evengrad.treatment.initialisation.by_order import wiring_by_order
from evengrad.treatment.initialisation.gates import initialise_recurrent
from evengrad.treatment.initialisation.inventory import Inventory, take_inventory, with_bare_layers
from evengrad.treatment.initialisation.layers import Kind, Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Adjustment, Distribution, Recipe, Request
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side, Wiring
from evengrad.treatment.initialisation.report import Action, Entry, InitReport
from evengrad.treatment.initialisation.tracing import Batch, GraphTooLargeError, wiring_by_batch
from evengrad.treatment.initialisation.writing import NotWritableError, note_of_parametrisation, write

_logger = logging.getLogger(__name__)
_LORA_UP = re.compile(r"(^|[._])lora_(b|up)([._]|$)", re.IGNORECASE)
_UNUSED = Neighbourhood(Side.OPAQUE, Side.OPAQUE)


def init_(
    model: nn.Module,
    method: str = "critical",
    batch: Batch | None = None,
    *,
    generator: torch.Generator | None = None,
    activation: ActivationLike | None = None,
    gain: float | None = None,
    horizon: int | None = None,
    modules: Collection[str] | None = None,
) -> InitReport:
    """Draw the weights of a model anew, in place, and say what was done to each parameter and why.

    Normalisations, frozen, quantised and unknown parameters, and zero weights that end a residual branch or a LoRA
    pair, are left. Hooks, buffers, gradients and ``requires_grad`` are as before afterwards.

    Args:
        model: The model. Its weights must have storage.
        method: ``"critical"``, ``"xavier"``, ``"he"``, ``"lecun"``, ``"orthogonal"``, ``"delta-orthogonal"``,
            ``"lsuv"``, ``"data-dependent"``, ``"residual"``, ``"fixup"`` or ``"recurrent"``.
        batch: What the model takes: a tensor, a tuple of arguments, a dict of keyword arguments, or a function of the
            model. It shows which activation really comes after each layer, where branches join, and the size of the
            data. Without it, the order of the modules has to do.
        generator: Source of randomness. Left out, a private one is seeded from torch's global state, which stays as it
            is: ``torch.manual_seed`` fixes the weights, and what is drawn after the call is not shifted by it.
        activation: The activation to assume where none shows.
        gain: Overrides the method's gain, for every layer that has one.
        horizon: Time steps that gated recurrent layers are to remember; by default as many as the batch has.
        modules: Names of the modules to draw, with all below them; all by default.

    Returns:
        What was done to each parameter; print it.

    Raises:
        UsageError: The method is unknown or needs a batch, the model does not take the batch, or its parameters have no
            storage.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))
        >>> init_(net, "xavier")["0.weight"].why
        'mean of fan_in and fan_out'
    """
    chosen = _method(method)
    if chosen.needs_batch and batch is None:
        raise UsageError(f"method '{method}' needs a batch: init_(model, '{method}', batch)")
    model = unwrapped(model)
    inventory = take_inventory(model, modules)
    assumed = as_activation(activation) if activation is not None else None
    wiring, notes = _wiring(model, inventory, batch, assumed)
    inventory = with_bare_layers(inventory, wiring.bare, modules)
    with draws.untouched_randomness(), torch.no_grad():
        session = _Session(chosen, inventory, wiring, generator or draws.private_generator(), gain)
        session.draw_layers()
        session.draw_recurrent(horizon)
    if chosen.adjustment is not Adjustment.NONE and batch is not None:
        session.adjust(model, batch)
    return InitReport(method, wiring.seen, session.entries(), (*notes, *session.notes()))


def _wiring(
    model: nn.Module, inventory: Inventory, batch: Batch | None, assumed: Activation | None
) -> tuple[Wiring, list[str]]:
    """Return what comes before and after each layer, and notes on how it was found."""
    notes: list[str] = []
    wiring: Wiring | None = None
    if batch is not None:
        try:
            wiring = wiring_by_batch(model, inventory.all_layers, batch)
        except GraphTooLargeError:
            notes.append("the batch's graph is too large to walk: the order of modules was used")
    if wiring is None:
        wiring = wiring_by_order(model, inventory.all_layers, assumed)
    elif any(id(leaf) not in wiring.around for layer in inventory.layers for leaf in layer.leaves):
        wiring = wiring.completed_by(wiring_by_order(model, inventory.all_layers, assumed))
    return wiring, notes


def methods() -> dict[str, AbstractMethod]:
    """Return the methods by name."""
    modules = catalogue("evengrad.treatment.initialisation.methods")
    return {name: module.METHOD for name, module in modules.items()}


def _method(name: str) -> AbstractMethod:
    found = methods().get(name)
    if found is None:
        raise UsageError(f"unknown method '{name}' (known: {', '.join(methods())})")
    return found


def _is_chosen_bias(layer: Layer, bias: Tensor) -> bool:
    """Return whether a bias is larger than torch's default, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), can be.

    A mean of the targets, or log odds of rare classes, are set so (Lin et al., ICCV 2017, section 4.1).
    """
    return float(bias.detach().abs().double().square().mean()) * layer.fan_in > 1


@dataclass(eq=False)
class _Session:
    """One initialisation under way."""

    method: AbstractMethod
    inventory: Inventory
    wiring: Wiring
    generator: torch.Generator
    gain: float | None

    def __post_init__(self) -> None:
        self._done: dict[str, Entry] = {}
        self._q: dict[int, float] = {}  # variance of what each layer gives, by key
        self._drawn: list[Layer] = []
        self._zeros = self._meant_zeros()

    def draw_layers(self) -> None:
        """Draw every layer, in the order in which data reaches them."""
        position = {leaf: number for number, leaf in enumerate(self.wiring.around)}
        order = sorted(self.inventory.layers, key=lambda layer: position.get(id(layer.leaves[0]), len(position)))
        for layer in order:
            reason = self._zeros.get(layer.name)
            if self.method.only_recurrent:
                reason = "not recurrent"
            if reason:
                self._leave(layer, reason)
                continue
            self._done[layer.name] = self._draw(layer, self._around(layer))

    def draw_recurrent(self, horizon: int | None) -> None:
        """Draw every recurrent module."""
        for recurrent in self.inventory.recurrent:
            key = id(recurrent.module)
            steps = horizon if horizon is not None else self.wiring.lengths.get(key, 0)
            square = self.wiring.squares.get(key)
            for entry in initialise_recurrent(recurrent, self._draw, self.generator, square=square, horizon=steps):
                self._done[entry.parameter] = entry

    def adjust(self, model: nn.Module, batch: Batch) -> None:
        """Scale what was drawn to what the batch shows."""
        kinds = (Kind.DENSE, Kind.CONVOLUTION, Kind.BILINEAR)
        # Input matrices of recurrent modules are drawn too, but what comes out there is not linear in them.
        own = {id(layer) for layer in self.inventory.layers}
        layers = [layer for layer in self._drawn if layer.kind in kinds and id(layer) in own]
        adjusted = adjust(model, layers, batch, self.method.adjustment)
        for layer in layers:
            entry = self._done[layer.name]
            if layer.name in adjusted.refused:
                self._done[layer.name] = replace(entry, why=adjusted.refused[layer.name])
                continue
            factor = adjusted.factors[layer.name]
            numbers = [None if value is None else value * factor for value in (entry.std, entry.gain)]
            self._done[layer.name] = replace(entry, std=numbers[0], gain=numbers[1])
            bias = f"{layer.name.rpartition('.')[0]}.{layer.bias}".lstrip(".")
            if self.method.adjustment is Adjustment.UNIT and bias in self._done:
                self._done[bias] = Entry(bias, self._done[bias].shape, Action.SET, "centres each unit")

    def entries(self) -> tuple[Entry, ...]:
        """Return one entry per parameter, in the model's order."""
        left = {
            name: Entry(name, self.inventory.shapes.get(name, ()), Action.LEFT, why=reason)
            for name, reason in self.inventory.left.items()
        }
        found = left | self._done
        ordered = [found.pop(name) for name in self.inventory.shapes if name in found]
        return (*ordered, *found.values())

    def notes(self) -> tuple[str, ...]:
        """Return what concerns the model as a whole."""
        if self.method.only_recurrent and not self.inventory.recurrent:
            return ("the model has no torch recurrent layer: nothing was drawn",)
        return ()

    def _around(self, layer: Layer) -> Neighbourhood:
        return next((self.wiring.around[id(leaf)] for leaf in layer.leaves if id(leaf) in self.wiring.around), _UNUSED)

    def _draw(self, layer: Layer, around: Neighbourhood) -> Entry:
        """Draw one weight and its bias."""
        if layer.kind is Kind.EMBEDDING:
            recipe = Recipe(Distribution.NORMAL, 1.0, 1.0, why="embedding: entries of variance 1")
        else:
            source_q = self._q.get(around.source, 1.0) if around.source is not None else 1.0
            recipe = self.method.recipe(layer, around, Request(self.gain, source_q))
        before = layer.weight.detach()
        try:
            write(layer, self._values(layer, recipe, before))
        except NotWritableError as error:
            return Entry(layer.name, tuple(before.shape), Action.LEFT, why=str(error))
        self._drawn.append(layer)
        self._q.update(dict.fromkeys((id(leaf) for leaf in layer.leaves), recipe.q))
        self._draw_bias(layer, recipe, is_head=around.is_head)
        note = note_of_parametrisation(layer.module, layer.attribute)
        why = "; ".join(filter(None, (recipe.why, note)))
        if not around.seen:
            why = f"{why}; not seen in the batch: by the order of modules"
        return Entry(
            layer.name, tuple(before.shape), Action.DRAWN, recipe.distribution.value, recipe.std, recipe.gain,
            recipe.fan, why,
        )  # fmt: skip

    def _values(self, layer: Layer, recipe: Recipe, like: Tensor) -> Tensor:
        match recipe.distribution:
            case Distribution.ZERO:
                return torch.zeros_like(like)
            case Distribution.UNIFORM:
                return draws.uniform(like, recipe.std, self.generator)
            case Distribution.NORMAL:
                drawn = draws.normal(like, recipe.std, self.generator)
                row = layer.module.padding_idx if isinstance(layer.module, nn.Embedding | nn.EmbeddingBag) else None
                if row is not None:
                    drawn[row] = 0
                return drawn
            case Distribution.CENTRED:
                drawn = draws.normal(like, recipe.std, self.generator)
                return layer.restored(draws.centred(layer.matrices(drawn)), like)
            case Distribution.DELTA:
                taps = layer.taps(like)
                blocks = draws.delta_orthogonal(layer.matrices(like), recipe.gain, taps, self.generator)
                return layer.restored(blocks, like)
            case Distribution.ORTHOGONAL:
                blocks = layer.matrices(like)
                drawn = draws.orthogonal(blocks.flatten(2), recipe.gain, self.generator)
                return layer.restored(drawn.reshape(blocks.shape), like)

    def _draw_bias(self, layer: Layer, recipe: Recipe, *, is_head: bool) -> None:
        bias = layer.module._parameters.get(layer.bias) if layer.bias else None
        if bias is None:
            return
        name = f"{layer.name.rpartition('.')[0]}.{layer.bias}".lstrip(".")
        shape = tuple(bias.shape)
        if not bias.requires_grad:
            self._done[name] = Entry(name, shape, Action.LEFT, why="frozen")
        elif is_head and _is_chosen_bias(layer, bias):
            why = "a head's bias that was set on purpose: larger than torch's default"
            self._done[name] = Entry(name, shape, Action.LEFT, why=why)
        elif recipe.bias_std > 0:
            bias.copy_(draws.normal(bias.detach(), recipe.bias_std, self.generator))
            why = "makes up the variance that the weights leave"
            self._done[name] = Entry(name, shape, Action.DRAWN, "normal", recipe.bias_std, why=why)
        else:
            bias.zero_()
            self._done[name] = Entry(name, shape, Action.SET, "0")

    def _leave(self, layer: Layer, reason: str) -> None:
        names = [layer.name]
        if layer.bias:
            names.append(f"{layer.name.rpartition('.')[0]}.{layer.bias}".lstrip("."))
        for name in names:
            self._done[name] = Entry(name, self.inventory.shapes.get(name, ()), Action.LEFT, why=reason)

    def _meant_zeros(self) -> dict[str, str]:
        """Return the weights that are zero on purpose: ends of branches, up-projections of LoRA, heads.

        In a net of nothing but zeros they are no purpose but the fault.
        """
        zeros = [layer for layer in self.inventory.layers if not bool(layer.weight.detach().any())]
        if len(zeros) == len(self.inventory.layers):
            return {}
        names = {layer.name for layer in zeros}
        found: dict[str, str] = {}
        for position, layer in enumerate(self.inventory.layers):
            if layer.name not in names:
                continue
            around = self._around(layer)
            alone = not any(
                other.name in names
                for other in self.inventory.layers[max(0, position - 1) : position + 2]
                if other is not layer
            )
            if _LORA_UP.search(layer.name):
                found[layer.name] = "zero on purpose: LoRA starts at nothing"
            elif around.branch is not None and around.branch.ends:
                found[layer.name] = "zero on purpose: its residual branch starts at 0"
            elif around.is_head:
                found[layer.name] = "zero on purpose: a head that starts at 0"
            elif alone and not self.wiring.lengths and self.wiring.seen.startswith("the order"):
                found[layer.name] = "zero, as no layer beside it: taken to be on purpose"
        return found
