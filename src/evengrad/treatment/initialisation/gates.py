"""Recurrent layers: orthogonal hidden matrices, gate by gate, and biases that remember."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from evengrad.theory.criticality import edges_at_bias
from evengrad.theory.lookup import as_activation
from evengrad.treatment.initialisation.draws import orthogonal
from evengrad.treatment.initialisation.layers import Kind, Layer
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side
from evengrad.treatment.initialisation.report import Action, Entry

_SHORTEST_CHRONO = 3
_REMEMBERING = {"LSTM": 1, "GRU": 1}  # position of the gate that keeps the state
_ENTERING = {"LSTM": 0}  # position of the gate that lets new input in

DrawInput = Callable[[Layer, Neighbourhood], Entry]


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A recurrent module with its kind, "LSTM", "GRU" or "RNN", and the number of gates."""

    name: str
    module: nn.RNNBase | nn.RNNCellBase
    kind: str
    gates: int
    rectified: bool


def recurrent_of(name: str, module: nn.Module) -> Recurrent | None:
    """Return a module as a recurrent one, or ``None``."""
    if not isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return None
    for kind, gates, types in (("LSTM", 4, (nn.LSTM, nn.LSTMCell)), ("GRU", 3, (nn.GRU, nn.GRUCell))):
        if isinstance(module, types):
            return Recurrent(name, module, kind, gates, rectified=False)
    nonlinearity = module.nonlinearity if isinstance(module, nn.RNN | nn.RNNCell) else "tanh"
    return Recurrent(name, module, "RNN", 1, rectified=nonlinearity == "relu")


def initialise_recurrent(
    recurrent: Recurrent, draw_input: DrawInput, generator: torch.Generator, *, square: float | None, horizon: int
) -> Iterator[Entry]:
    """Draw every parameter of a recurrent module, and yield what was done.

    Args:
        recurrent: The module.
        draw_input: Draws an input matrix by the method in use.
        generator: Source of randomness.
        square: Mean square of the module's input, where it was measured.
        horizon: Time steps to remember; 0 if unknown.

    Yields:
        What was done to each parameter.
    """
    for local, parameter in recurrent.module.named_parameters(recurse=False):
        name = f"{recurrent.name}.{local}" if recurrent.name else local
        if not parameter.requires_grad:
            yield Entry(name, tuple(parameter.shape), Action.LEFT, why="frozen")
        elif local.startswith("weight_ih"):
            first = local in ("weight_ih", "weight_ih_l0", "weight_ih_l0_reverse")
            around = Neighbourhood(Side.DATA, Side.PRODUCT, input_square=square if first else None)
            yield draw_input(_input_layer(name, local, parameter, recurrent), around)
        elif local.startswith(("weight_hh", "weight_hr")):
            yield _hidden(name, parameter, recurrent, generator, projects=local.startswith("weight_hr"))
        else:
            keeps = local.startswith("bias_ih")  # both biases are summed, so only one is set
            spans = _spans(recurrent, generator, horizon) if keeps else None
            yield _bias(name, parameter, recurrent, spans, horizon if keeps else 0)


def _input_layer(name: str, local: str, parameter: Tensor, recurrent: Recurrent) -> Layer:
    rows, columns = parameter.shape
    return Layer(name, recurrent.module, local, Kind.DENSE, columns, rows // recurrent.gates, groups=recurrent.gates)


def _hidden(name: str, parameter: Tensor, recurrent: Recurrent, generator: torch.Generator, *, projects: bool) -> Entry:
    blocks = parameter.detach().view(1 if projects else recurrent.gates, -1, parameter.shape[1])
    gain, how, why = 1.0, "orthogonal", "orthogonal, gate by gate"
    if projects:
        why = "projection of the state: orthogonal"
    elif recurrent.rectified:
        how, why = "identity", "ReLU recurrence: the state is kept (Le, Jaitly and Hinton 2015)"
    elif recurrent.kind == "RNN":
        gain = tanh_gain()
        why = "keeps the gradient through time for tanh and inputs of variance 1"
    with torch.no_grad():
        if how == "identity":
            blocks.copy_(torch.eye(*blocks.shape[-2:], dtype=blocks.dtype, device=blocks.device))
        else:
            blocks.copy_(orthogonal(blocks, gain, generator))
    fan = float(parameter.shape[1])
    return Entry(name, tuple(parameter.shape), Action.DRAWN, how, gain / math.sqrt(fan), gain, fan, why)


@lru_cache(maxsize=1)
def tanh_gain() -> float:
    """Return the gain at which a tanh recurrence driven with variance 1 keeps its gradient, 1.856.

    Source:
        Chen, Pennington and Schoenholz, ICML 2018; the edge of chaos at bias variance 1.
    """
    return math.sqrt(edges_at_bias(as_activation("tanh"), 1.0)[0].weight_variance)


def _spans(recurrent: Recurrent, generator: torch.Generator, horizon: int) -> Tensor | None:
    """Return the time scale of every unit, ``[H]``; ``None`` for layers without a gate that keeps the state."""
    if recurrent.kind not in _REMEMBERING:
        return None
    units = torch.empty(recurrent.module.hidden_size, device=generator.device)
    if horizon < _SHORTEST_CHRONO:
        return units.fill_(math.e)  # a bias of 1
    return units.uniform_(1, horizon - 1, generator=generator)


def _bias(name: str, parameter: Tensor, recurrent: Recurrent, spans: Tensor | None, horizon: int) -> Entry:
    """Zero a bias, and open the gate that keeps the state for as long as ``spans`` say."""
    shape = tuple(parameter.shape)
    with torch.no_grad():
        parameter.zero_()
        if spans is None:
            return Entry(name, shape, Action.SET, "0")
        gates = parameter.view(recurrent.gates, -1)
        gates[_REMEMBERING[recurrent.kind]].copy_(spans.log())
        if horizon < _SHORTEST_CHRONO:
            return Entry(name, shape, Action.SET, "0, keeping gate 1", why="remembers (Jozefowicz et al. 2015)")
        if recurrent.kind in _ENTERING:
            gates[_ENTERING[recurrent.kind]].copy_(-spans.log())
    why = f"time scales up to {horizon} steps (Tallec and Ollivier 2018)"
    return Entry(name, shape, Action.SET, f"chrono: ln U(1, {horizon - 1})", why=why)
