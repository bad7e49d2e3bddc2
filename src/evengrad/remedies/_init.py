"""What the initialisations share: which layers they draw anew, and how far today's weights are off."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from evengrad.core.finding import CauseKind, Finding
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._facts import (
    RECTIFIERS,
    SATURATING,
    SQUASHING,
    guilty_activation,
    key_of,
    main_activation,
    plain,
)
from evengrad.rules._weights import matrices

_DRAWN: Final = ("Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")


HEAVY: Final = 2.0  # rms of a bias, "h": two standard deviations of data of size 1; own choice


def suits(trace: Trace) -> str:
    """Return the initialisation that suits the activation used most: a remedy's id.

    Source:
        He et al., ICCV 2015 (rectifiers); Glorot and Bengio, AISTATS 2010 (tanh, linear). Own measurement: GELU and
        SiLU lose signal under He, so that their scale is found on data. No scale repairs sigmoid, but where its weights
        are at fault as well, they come first.
    """
    name = main_activation(trace)
    if name in RECTIFIERS:
        return "he-init"
    return "xavier-init" if name in SATURATING | SQUASHING | {"", "selu"} else "lsuv-init"


def can_draw(trace: Trace) -> bool:
    """Return whether the network has layers that an initialisation draws: linear ones or convolutions, not frozen."""
    held = {info.module for info in trace.parameters if info.optimizer >= 0 and info.requires_grad}
    return any(info.kind in _DRAWN and info.name in held for info in trace.modules)


def targets(trace: Trace, finding: Finding | None) -> tuple[str, ...]:
    """Return the layers to be drawn anew; empty: all of them.

    A network is drawn as a whole: its scales multiply. Units that were born dead are the fault of the layers that feed
    them, and only those are touched.
    """
    if finding is None or finding.cause is None or finding.cause.kind is not CauseKind.DEAD_UNITS:
        return ()
    return tuple(dict.fromkeys((*feeding(trace, finding), *heavy_biases(trace))))


def heavy_biases(trace: Trace) -> tuple[str, ...]:
    """Return the layers whose bias, when first measured, is so large that it can keep a unit silent on any data."""
    kinds = {info.name: info.kind for info in trace.modules}
    return tuple(
        info.module
        for info in trace.parameters
        if len(info.shape) == 1
        and kinds.get(info.module) in _DRAWN
        and trace.get(Statistic.WEIGHT_RMS, info.name).first() >= HEAVY
    )


def feeding(trace: Trace, finding: Finding) -> tuple[str, ...]:
    """Return the layers whose parameters a finding on dead units names, so far as they are linear or convolutions."""
    named = [info.module for name in finding.parameters if (info := trace.parameter(name)) is not None]
    kinds = {info.name: info.kind for info in trace.modules}
    return tuple(dict.fromkeys(module for module in named if kinds.get(module) in _DRAWN))


def stuck_parameters(trace: Trace, finding: Finding | None) -> tuple[str, ...]:
    """Return the first of each pair of weights that began at zero and keep each other there; () for another fault.

    Both factors of an adapter at zero get no gradient; one of them at random frees both.
    """
    if finding is None or key_of(finding) != "cause-zero" or can_draw(trace):
        return ()
    first: dict[str, str] = {}
    for name in finding.parameters:
        info = trace.parameter(name)
        if info is not None and len(info.shape) >= 2:
            first.setdefault(info.module, name)
    return tuple(first.values())


def scale_repairs(trace: Trace, finding: Finding | None) -> bool:
    """Return whether some scale of the weights can repair this: not where sigmoid's derivative, or decay, is to blame.

    Source:
        Own measurement: ten sigmoid layers stayed at chance under Xavier, He and LSUV alike; variance 1 in every layer,
        and the gradient fell by 12 decades all the same.
    """
    if key_of(finding) == "cause-decay":
        return False  # the weights began sound, and weight decay took them away
    if finding is None or finding.cause is None or finding.cause.kind is not CauseKind.ACTIVATION_DERIVATIVE:
        return True
    return plain(guilty_activation(finding, trace)) not in SQUASHING


def overfactor(trace: Trace) -> float:
    """Return sqrt(fan_in) * rms(W) when first measured, the median over weight tensors; nan when none was."""
    shapes = {info.name: info for info in trace.parameters}
    factors = [
        math.sqrt(info.numel / info.shape[0]) * trace.get(Statistic.WEIGHT_RMS, name).first()
        for name in matrices(trace)
        if (info := shapes.get(name)) is not None
    ]
    known = [factor for factor in factors if math.isfinite(factor)]
    return float(np.median(known)) if known else math.nan
