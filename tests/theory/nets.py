"""Finite-width nets in NumPy, the slow and obvious twin of mean-field theory."""

from __future__ import annotations

import itertools

import numpy as np

from evengrad.theory import Activation, Initialisation
from evengrad.theory._arrays import Array


def gradient_norms(
    activation: Activation, initialisation: Initialisation, *, widths: list[int], q_0: float, seed: int, batch: int = 8
) -> Array:
    """Return the L2 norm of a random gradient at each layer's pre-activation, ``[L]``."""
    rng = np.random.default_rng(seed)
    pre = [np.sqrt(q_0) * rng.standard_normal((batch, widths[0]))]
    weights = []
    for fan_in, fan_out in itertools.pairwise(widths):
        weights.append(rng.standard_normal((fan_in, fan_out)) * np.sqrt(initialisation.weight_variance / fan_in))
        bias = rng.standard_normal(fan_out) * np.sqrt(initialisation.bias_variance)
        pre.append(_apply(activation.value, pre[-1]) @ weights[-1] + bias)
    gradient = rng.standard_normal(pre[-1].shape)
    norms = [np.linalg.norm(gradient)]
    for weight, before in zip(reversed(weights), reversed(pre[:-1]), strict=True):
        gradient = (gradient @ weight.T) * _apply(activation.derivative, before)
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])


def _apply(function, x: Array) -> Array:
    return function(x.ravel()).reshape(x.shape)
