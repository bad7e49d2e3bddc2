"""Draw the weights of the model anew, or set its biases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._layers import LAYERS
from evengrad.treatment.initialisation.initialise import init_
from evengrad.treatment.live import LiveRun, Undo

_SEEING = ("lsuv", "data-dependent", "fixup")
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True)
class Initialise(AbstractAct):
    """Draws what the patch of the same change draws, from torch's global generator, in the order of the modules.

    An arm whose source was patched and a live run at the same random state thus hold the same weights to the bit. The
    methods that look at a batch (``lsuv``, ``data-dependent``, ``fixup``), and ``critical`` without a gain, are
    ``evengrad.init_``'s own.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Draw the weights."""
        method = change.word("method", "he")
        named = bool(change.modules)
        if method in _SEEING or (method == "critical" and math.isnan(change.number("gain"))):
            batch = run.required_batch(f"{method} initialisation") if method in _SEEING else run.batch
            init_(run.root, method, batch, generator=torch.default_generator, modules=change.modules or None)
            return
        if method in ("residual", "bias") and not named:
            raise TreatmentError(f"{method} needs the names of the layers that it is for")
        with torch.no_grad():
            if change.parameters and not named:
                for name in change.parameters:
                    _weight(run.root.get_parameter(name), change)
                return
            drawn = 0
            for module in _modules(run, change, recurrent=method in ("recurrent", "forget-bias")):
                _METHODS.get(method, _layer)(module, change)
                drawn += 1
        if not drawn:
            raise TreatmentError(f"the model has no layer that {method} initialisation is for")


def _modules(run: LiveRun, change: Change, *, recurrent: bool) -> Iterator[nn.Module]:
    kinds = _RECURRENT if recurrent else LAYERS
    if not change.modules:
        yield from (module for module in run.root.modules() if isinstance(module, kinds))
        return
    for name in change.modules:
        module = run.module(name)
        if not isinstance(module, kinds):
            raise TreatmentError(f"`{name}` is a {type(module).__name__}, which {change.remedy} cannot draw")
        yield module


def _layer(module: nn.Module, change: Change) -> None:
    """Draw a layer's weight and set its bias."""
    _weight(module.get_parameter("weight"), change)
    bias = module._parameters.get("bias")
    if bias is None:
        return
    spread = change.number("bias", 0.0) if change.word("method") == "critical" else 0.0
    if spread > 0:
        nn.init.normal_(bias, std=spread)
    else:
        nn.init.zeros_(bias)


def _weight(weight: Tensor, change: Change) -> None:
    """Draw one weight as ``torch.nn.init`` does."""
    gain, slope = change.number("gain", 1.0), change.number("slope", 0.0)
    match change.word("method", "he"):
        case "xavier":
            nn.init.xavier_uniform_(weight, gain=gain)
        case "he" if slope != 0:
            nn.init.kaiming_normal_(weight, a=slope, nonlinearity="leaky_relu")
        case "he":
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        case "lecun":
            nn.init.kaiming_normal_(weight, nonlinearity="linear")
        case "orthogonal":
            nn.init.orthogonal_(weight, gain=gain)
        case "critical":
            nn.init.normal_(weight, std=gain / weight[0].numel() ** 0.5)
        case "delta-orthogonal":
            if weight.dim() > 2:
                nn.init.zeros_(weight)
                weight = weight.detach()[(..., *[size // 2 for size in weight.shape[2:]])]  # type: ignore[index]
            nn.init.orthogonal_(weight, gain=gain)
        case method:
            raise TreatmentError(f"'{method}' is no initialisation known here")


def _damp(module: nn.Module, change: Change) -> None:
    """Scale the last layer of a branch; without a gain it starts at nothing."""
    gain = change.number("gain", 0.0)
    module.get_parameter("weight").mul_(gain)
    bias = module._parameters.get("bias")
    if bias is not None and gain == 0:
        bias.zero_()


def _bias(module: nn.Module, change: Change) -> None:
    bias = module._parameters.get("bias")
    if bias is None:
        raise TreatmentError(f"{change.remedy} is for biases, and {type(module).__name__} here has none")
    bias.fill_(change.number("bias", 0.0))


def _recurrent(module: nn.Module, change: Change) -> None:
    """Draw recurrent matrices orthogonal, gate by gate, and the others as Xavier."""
    size = _hidden_size(module)
    for name, parameter in module.named_parameters():
        if "weight_hh" in name:
            for gate in torch.split(parameter, size):
                nn.init.orthogonal_(gate, gain=change.number("gain", 1.0))
        elif "weight_ih" in name:
            nn.init.xavier_uniform_(parameter, gain=change.number("input_gain", 1.0))
        elif "bias" in name:
            parameter.zero_()


def _forget(module: nn.Module, change: Change) -> None:
    """Set the bias of the gate that keeps the state; torch adds two, of which the second becomes 0."""
    if not isinstance(module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell):
        return
    size = _hidden_size(module)
    for name, parameter in module.named_parameters():
        if "bias" in name:
            parameter[size : 2 * size].fill_(change.number("bias", 1.0) if "bias_ih" in name else 0.0)


def _hidden_size(module: nn.Module) -> int:
    assert isinstance(module, _RECURRENT), "recurrent methods are given recurrent modules"
    return module.hidden_size


_METHODS: dict[str, Callable[[nn.Module, Change], None]] = {
    "residual": _damp,
    "bias": _bias,
    "recurrent": _recurrent,
    "forget-bias": _forget,
}

ACT = Initialise()
