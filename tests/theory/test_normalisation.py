"""Explosion under batch normalisation without skips."""

import math

import numpy as np
import pytest

from evengrad.theory import as_activation, batch_norm_factor, layer_norm_factor


def test_large_batches() -> None:
    """Yang et al., ICLR 2019: pi / (pi - 1) for ReLU."""
    assert batch_norm_factor(as_activation("relu")) == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)
    assert batch_norm_factor(as_activation("identity")) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("batch", [6, 8, 32, 128, 4096])
def test_linear_nets_at_any_batch(batch: int) -> None:
    """Yang et al., ICLR 2019: (B - 2) / (B - 3)."""
    expected = (batch - 2) / (batch - 3)
    assert batch_norm_factor(as_activation("identity"), batch) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("batch", "measured"), [(8, 1.780), (32, 1.517), (128, 1.4681)])
def test_relu_at_finite_batches(batch: int, measured: float) -> None:
    """Against factors measured in deep nets, which scatter by 1 %."""
    assert batch_norm_factor(as_activation("relu"), batch) == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize(("name", "measured"), [("tanh", 1.19), ("gelu", 1.36)])
def test_others_at_batch_128(name: str, measured: float) -> None:
    assert batch_norm_factor(as_activation(name), 128) == pytest.approx(measured, rel=0.025)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "hardtanh"])
def test_finite_batches_tend_to_the_limit(name: str) -> None:
    activation = as_activation(name)
    limit = batch_norm_factor(activation)
    gaps = [abs(batch_norm_factor(activation, batch) - limit) for batch in (100, 1000, 10_000)]
    assert gaps[0] > 8 * gaps[1] > 64 * gaps[2] > 0  # like 1 / B


@pytest.mark.parametrize("name", ["relu", "tanh", "softplus"])
def test_factor_equals_monte_carlo_over_the_sphere(name: str) -> None:
    """200 000 draws of a batch of 8: four standard errors."""
    activation, batch, draws = as_activation(name), 8, 200_000
    rng = np.random.default_rng(0)
    h = rng.standard_normal((draws, batch))
    h -= h.mean(axis=1, keepdims=True)
    z = h / np.sqrt((h**2).mean(axis=1, keepdims=True))
    x, slopes = (function(z.ravel()).reshape(z.shape) for function in (activation.value, activation.derivative))
    gradient = rng.standard_normal((draws, batch))
    gradient -= gradient.mean(axis=1, keepdims=True)
    back = slopes * gradient
    back -= back.mean(axis=1, keepdims=True) + z * (back * z).mean(axis=1, keepdims=True)
    # E 1 / |h|^2 = 1 / (variance (B - 3)), independent of the direction; |gradient|^2 has B - 1 degrees of freedom.
    signal = (x**2).mean(axis=1) - ((x.sum(axis=1) ** 2 - (x**2).sum(axis=1)) / (batch * (batch - 1)))
    squares = (back**2).sum(axis=1) * batch / ((batch - 3) * (batch - 1))
    tolerance = 4 * math.hypot(squares.std() / squares.mean(), signal.std() / signal.mean()) / math.sqrt(draws)
    assert batch_norm_factor(activation, batch) == pytest.approx(squares.mean() / signal.mean(), rel=tolerance)


def test_factor_equals_that_of_a_deep_net() -> None:
    """24 layers of 400 ReLU units at batch 16, 2 seeds: within 4 %."""
    rates = [batch_norm_rate(width=400, batch=16, depth=24, seed=seed) for seed in (0, 1)]
    assert np.mean(rates) == pytest.approx(math.log(batch_norm_factor(as_activation("relu"), 16)), abs=0.04)


def batch_norm_rate(*, width: int, batch: int, depth: int, seed: int) -> float:
    """Return ln of the factor per layer of the squared gradient norm, over the layers past the first 8."""
    rng = np.random.default_rng(seed)
    x, tape = rng.standard_normal((batch, width)), []
    for _ in range(depth):
        weights = rng.standard_normal((width, width)) / math.sqrt(width)
        h = x @ weights
        deviation = h.std(axis=0)
        z = (h - h.mean(axis=0)) / deviation
        tape.append((weights, z, deviation))
        x = np.maximum(z, 0)
    gradient, squares = rng.standard_normal(x.shape), []
    for weights, z, deviation in reversed(tape):
        gradient = gradient * (z > 0)
        gradient = (gradient - gradient.mean(axis=0) - z * (gradient * z).mean(axis=0)) / deviation @ weights.T
        squares.append((gradient**2).sum())
    middle = slice(3, depth - 8)
    return float(np.diff(np.log(squares))[middle].mean())


def test_layer_norm_keeps_relu_and_starves_sigmoid() -> None:
    assert layer_norm_factor(as_activation("relu")) == pytest.approx(1, rel=1e-12)
    assert layer_norm_factor(as_activation("sigmoid")) < 0.16


def test_small_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a batch of at least 6, got 5"):
        batch_norm_factor(as_activation("relu"), 5)
