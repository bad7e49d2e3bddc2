"""Chains of unlike layers."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    ChainLayer,
    Initialisation,
    as_activation,
    correlate,
    correlation_map,
    propagate,
    uniform_chain,
)

HE = Initialisation(2.0)


def test_he_relu_keeps_both_and_xavier_halves_both() -> None:
    relu = as_activation("relu")
    kept = propagate(uniform_chain(relu, HE, 40))
    assert (kept.attenuation, kept.growth) == pytest.approx((0, 0), abs=1e-12)
    halved = propagate(uniform_chain(relu, Initialisation(1.0), 40))
    assert halved.attenuation == pytest.approx(39 * math.log10(0.5) / 2, rel=1e-12)
    assert halved.growth == pytest.approx(39 * math.log10(0.5), rel=1e-12)


def test_mixed_chain_equals_wide_nets() -> None:
    """Four unlike layers of 400 units, 12 draws: variances within 8 %, gradients within 0.04 decades."""
    chain = [
        ChainLayer(Initialisation(1.3, 0.2), as_activation("tanh")),
        ChainLayer(Initialisation(2.0), as_activation("relu")),
        ChainLayer(Initialisation(0.7, 0.05), as_activation("sigmoid")),
        ChainLayer(Initialisation(3.0), as_activation("gelu")),
    ]
    expected = propagate(chain, input_square=0.6)
    draws = [sampled_chain(chain, math.sqrt(0.6), 400, np.random.default_rng(seed)) for seed in range(12)]
    variances, squares = np.mean(draws, axis=0)
    assert variances == pytest.approx(np.array(expected.q), rel=0.08)
    assert np.log10(squares) / 2 == pytest.approx(np.array(expected.decades), abs=0.04)


def sampled_chain(
    chain: list[ChainLayer], input_rms: float, width: int, rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Return variance and squared gradient norm (relative to the last) of every layer's pre-activation in one draw."""
    x, pre, weights = input_rms * rng.standard_normal(width), [], []
    for layer in chain:
        weights.append(rng.standard_normal((width, width)) * math.sqrt(layer.initialisation.weight_variance / width))
        pre.append(weights[-1] @ x + math.sqrt(layer.initialisation.bias_variance) * rng.standard_normal(width))
        x = layer.activation.value(pre[-1])
    gradient = rng.standard_normal(width)
    squares = [gradient @ gradient]
    for index in range(len(chain) - 1, 0, -1):
        gradient = chain[index - 1].activation.derivative(pre[index - 1]) * (weights[index].T @ gradient)
        squares.append(gradient @ gradient)
    return [(h**2).mean() for h in pre], [square / squares[0] for square in reversed(squares)]


def test_decades_are_cumulative_and_end_at_0() -> None:
    found = propagate(uniform_chain(as_activation("sigmoid"), Initialisation(1.0), 6))
    assert len(found.q) == len(found.decades) == 6
    assert len(found.factors) == 5
    assert found.decades[-1] == 0
    assert found.attenuation == pytest.approx(sum(math.log10(factor) for factor in found.factors) / 2)


def test_first_variance_comes_from_the_input_or_is_given() -> None:
    chain = uniform_chain(as_activation("tanh"), Initialisation(1.5, 0.1), 2)
    assert propagate(chain, input_square=4.0).q[0] == pytest.approx(6.1)
    assert propagate(chain, q_0=0.3).q[0] == 0.3


def test_correlations_follow_the_map_of_each_layer() -> None:
    tanh, initialisation = as_activation("tanh"), Initialisation(2.0, 0.1)
    chain = uniform_chain(tanh, initialisation, 4)
    q = propagate(chain, q_0=0.9).q
    found = correlate(chain, q, correlation=0.2)
    assert found[0] == 0.2
    for index in range(3):
        expected = correlation_map(tanh, found[index], q[index], initialisation)
        assert found[index + 1] == pytest.approx(expected, abs=1e-12)


def test_extreme_chains_stay_finite_or_say_so() -> None:
    relu = as_activation("relu")
    silent = propagate(uniform_chain(relu, Initialisation(1e-9), 30))
    assert silent.attenuation == pytest.approx(29 * math.log10(5e-10) / 2)
    loud = propagate(uniform_chain(relu, Initialisation(1e6), 30))
    assert loud.attenuation == pytest.approx(29 * math.log10(5e5) / 2)
    cut = propagate(uniform_chain(as_activation("hardshrink"), Initialisation(1e-6), 5))
    assert cut.attenuation == -math.inf


def test_empty_chains_and_silent_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one layer"):
        propagate([])
    with pytest.raises(ValueError, match="expected a positive pre-activation variance"):
        propagate(uniform_chain(as_activation("relu"), HE, 2), input_square=0.0)
