"""Normalise the outputs of layers, before their activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from evengrad.core.plan import Change
from evengrad.errors import TreatmentError
from evengrad.treatment.acts._base import AbstractAct
from evengrad.treatment.acts._layers import add_parameters, hidden_layers, hook, like
from evengrad.treatment.live import LiveRun, Undo

_BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@dataclass(frozen=True)
class Normalise(AbstractAct):
    """Puts a norm behind layers, by a hook: ``layer`` is LayerNorm (or one group of channels), ``batch`` is BatchNorm.

    The norms learn with the rest: their weights join the optimizer's last group. The model's ``state_dict`` stays as it
    was; a norm follows its layer into training and evaluation mode.

    Source:
        Ba, Kiros and Hinton, 2016; Ioffe and Szegedy, ICML 2015.
    """

    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Put a norm behind each layer."""
        kind = change.word("kind", "layer")
        if kind not in ("layer", "batch"):
            raise TreatmentError(f"expected a normalisation of kind layer or batch, got '{kind}'")
        for layer in hidden_layers(run, change.modules).values():
            norm = like(run, _norm_behind(layer, kind), layer)
            add_parameters(run, list(norm.parameters()))
            hook(undo, layer.register_forward_hook(_apply(norm)))


def _apply(norm: nn.Module) -> Callable[[nn.Module, object, Tensor], Tensor]:
    def behind(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        norm.train(layer.training)
        if isinstance(norm, nn.BatchNorm1d) and isinstance(layer, nn.Linear) and output.dim() > 2:
            flat: Tensor = norm(output.flatten(0, -2))
            return flat.view_as(output)
        result: Tensor = norm(output)
        return result

    return behind


def _norm_behind(layer: nn.Module, kind: str) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.LayerNorm(layer.out_features) if kind == "layer" else nn.BatchNorm1d(layer.out_features)
    assert isinstance(layer, nn.modules.conv._ConvNd), "layers are linear or convolutions"
    if kind == "layer":
        return nn.GroupNorm(1, layer.out_channels)
    return _BATCH[len(layer.kernel_size)](layer.out_channels)


ACT = Normalise()
