"""What the weights of a layer act on: size, range, and whether samples can still be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from evengrad.core.statistic import Statistic
from evengrad.probes._base import AbstractNodeProbe, NodeView, Reading
from evengrad.probes._sizes import number, thinned

_SAMPLE = 1 << 14  # entries of one layer's input that are looked at: whole samples, evenly spaced


class LayerInputs(AbstractNodeProbe):
    """Reads the data operand that a layer's backward pass has saved.

    Distinguishability is the between-sample variance over the second moment, 0 when every sample looks the same.

    Source:
        Schoenholz et al., ICLR 2017, section 3 (correlation map); own choice of the ratio.
    """

    operands: ClassVar[dict[str, str]] = {
        "Addmm": "mat1",
        "Mm": "self",
        "Linear": "input",
        "MkldnnLinear": "self",
        "Convolution": "input",
        "MkldnnConvolution": "self",
        "ThnnConv2D": "self",
        "MkldnnRnnLayer": "input",
        "CudnnRnn": "input",
        "Bmm": "self",
        "Baddbmm": "batch1",
        "Addmv": "vec",
    }

    def read(self, view: NodeView) -> Iterator[Reading]:
        """Yield INPUT_RMS, INPUT_MAX, INPUT_MEAN, FEATURE_SPREAD and DISTINGUISHABILITY of a layer site."""
        operand = self.operands.get(view.operation)
        data = view.saved(operand) if operand and view.site else None
        if data is None or data.numel() == 0 or not (data.is_floating_point() or data.is_complex()):
            return
        data = thinned(data, _SAMPLE)
        data = data.float() if data.device.type == "mps" else data.double()
        second_moment = data.square().mean()
        yield Reading(Statistic.INPUT_RMS, view.site, number(second_moment.sqrt()))
        yield Reading(Statistic.INPUT_MAX, view.site, number(data.abs().amax()))
        yield Reading(Statistic.INPUT_MEAN, view.site, number(data.mean()))
        if data.dim() < 2 or data.shape[0] < 2:
            return
        variance = data.var(dim=0, correction=0).mean()
        # A constant column's variance is not exactly 0 after rounding; below the format's resolution it is none.
        floor = second_moment * torch.finfo(torch.float32).eps ** 2
        share = torch.where(variance > floor, variance, torch.zeros_like(variance)) / second_moment.clamp(min=1e-37)
        yield Reading(Statistic.DISTINGUISHABILITY, view.site, number(share))
        yield from _feature_spread(view.site, data)


def _feature_spread(site: str, data: Tensor) -> Iterator[Reading]:
    """Yield the largest over the median rms of a feature, over the features that are not constantly zero."""
    features = data.flatten(2).transpose(1, 2).flatten(0, 1) if data.dim() > 2 else data
    per_feature = features.square().mean(dim=0).sqrt()
    live = per_feature[per_feature > 0]
    if live.numel() >= 2:
        yield Reading(Statistic.FEATURE_SPREAD, site, number(live.amax() / live.median()))


PROBE = LayerInputs()
