"""Roberts, Yaida and Hanin, The Principles of Deep Learning Theory, 2022: criticality of GELU and SiLU is not stable.

Below their half-stable points the variance leaves its fixed point by a factor chi_par per layer (section 5.3.4). Here:
of 32 nets of 256 units at the edge of chaos, how many have left the decades within which nets train, at the depths at
which chi_par ** depth is 10, 100 and 10,000; tanh, which is stable, at the depths of GELU.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks._results import Figure, share
from evengrad.theory import Activation, DepthLimits, Initialisation, as_activation, edge_of_chaos

WIDTH, NETS = 256, 32
NAMES = ("gelu", "silu", "mish", "hardswish", "tanhshrink")
GROWTHS = (10.0, 100.0, 10_000.0)


def measure() -> list[Figure]:
    """Return shares of nets by growth, over all unstable activations, and those of tanh."""
    figures = []
    for growth in GROWTHS:
        strays = [_strays(name, _depth(name, growth)) for name in NAMES]
        figures.append(share(f"roberts-2022/out of -3 to +2 decades/unstable, chi_par^L = {growth:g}", *_sum(strays)))
        depth = _depth("gelu", growth)
        figures.append(share(f"roberts-2022/out of -3 to +2 decades/tanh, {depth} layers", *_strays("tanh", depth)))
    return figures


def _sum(counts: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(hits for hits, _ in counts), sum(of for _, of in counts)


def _depth(name: str, growth: float) -> int:
    return round(math.log(growth) / math.log(edge_of_chaos(as_activation(name)).growth))


def _strays(name: str, depth: int) -> tuple[int, int]:
    """Return how many nets left the limits, and of how many."""
    activation, limits = as_activation(name), DepthLimits()
    initialisation = edge_of_chaos(activation).initialisation
    totals = [_attenuation(activation, initialisation, depth, seed) for seed in range(NETS)]
    return sum(not limits.vanishing_decades <= total <= limits.exploding_decades for total in totals), NETS


def _attenuation(activation: Activation, initialisation: Initialisation, depth: int, seed: int) -> float:
    """Return log10 of a random gradient's norm in the first layer over that in the last."""
    rng = np.random.default_rng(seed)
    h, tape = rng.standard_normal(WIDTH), []
    for _ in range(depth - 1):
        weights = rng.standard_normal((WIDTH, WIDTH)) * math.sqrt(initialisation.weight_variance / WIDTH)
        tape.append((weights, h))
        h = weights @ activation.value(h) + rng.standard_normal(WIDTH) * math.sqrt(initialisation.bias_variance)
    gradient = rng.standard_normal(WIDTH)
    last = np.linalg.norm(gradient)
    for weights, before in reversed(tape):
        gradient = (weights.T @ gradient) * activation.derivative(before)
    first = np.linalg.norm(gradient)
    return math.log10(first / last) if first > 0 else -math.inf
