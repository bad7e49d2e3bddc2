"""Spread over seeds at finite width."""

import dataclasses
import math

import numpy as np
import pytest

from evengrad.theory import (
    Activation,
    Initialisation,
    LayerNoise,
    Propagation,
    as_activation,
    backward_fluctuation,
    edge_of_chaos,
    forward_fluctuation,
    layer_noise,
    moment_ratio,
    null_band,
    propagate,
    uniform_chain,
)

from .nets import gradient_norms


def test_fluctuation_constants() -> None:
    """Hanin and Rolnick, NeurIPS 2018: 5 for ReLU at He variance; 2 for linear nets."""
    assert forward_fluctuation(as_activation("relu")) == pytest.approx(5, rel=1e-12)
    assert forward_fluctuation(as_activation("identity")) == pytest.approx(2, rel=1e-12)
    for slope in (0.2, 0.5):
        expected = 6 * (1 + slope**4) / (1 + slope**2) ** 2 - 1
        leaky = as_activation("leaky_relu", {"negative_slope": slope})
        assert forward_fluctuation(leaky) == pytest.approx(expected, rel=1e-12)
        assert backward_fluctuation(leaky) == pytest.approx(expected, rel=1e-12)


def test_a_silent_layer_does_not_fluctuate() -> None:
    shrink = as_activation("hardshrink")
    assert forward_fluctuation(shrink, 1e-10) == backward_fluctuation(shrink, 1e-10) == 0


@pytest.mark.parametrize(("depth", "width", "deviation", "bias"), [(20, 96, 0.22, None), (100, 64, 0.61, -0.85)])
def test_bands_of_relu_nets(depth: int, width: int, deviation: float, bias: float | None) -> None:
    layer = layer_noise(as_activation("relu"), 1.0, Initialisation(2.0), width)
    band = null_band([layer] * depth)
    assert band.deviation == pytest.approx(deviation, abs=5e-3)
    if bias is not None:
        assert band.bias == pytest.approx(bias, abs=5e-3)
    low, high = band.interval(3)
    assert (high - low, high + low) == pytest.approx((6 * band.deviation, 2 * band.bias))


@pytest.mark.parametrize(
    ("name", "widths", "published"),
    [("relu", [100] * 19, 2.58), ("relu", [50] * 19, 6.36), ("identity", [100] * 19, 1.486)],
)
def test_moment_ratio_with_the_linear_last_layer(name: str, widths: list[int], published: float) -> None:
    last = moment_ratio(2.0, widths[:1])  # the last layer has no activation, hence the 2
    ratio = moment_ratio(forward_fluctuation(as_activation(name)), widths) * last
    assert ratio == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(
    ("name", "widths", "published"),
    [("relu", [100] * 19, 0.97), ("relu", [100, 20] * 9 + [20], 2.97), ("identity", [100] * 19, 0.4)],
)
def test_log_variance_with_the_linear_last_layer(name: str, widths: list[int], published: float) -> None:
    activation = as_activation(name)
    initialisation = edge_of_chaos(activation).initialisation
    band = null_band([layer_noise(activation, 1.0, initialisation, width) for width in widths])
    assert (2 * math.log(10) * band.deviation) ** 2 + 2 / 100 == pytest.approx(published, abs=6e-3)


def test_moment_ratio_equals_monte_carlo_over_relu_nets() -> None:
    """20000 nets of 4 layers of 40: five standard errors."""
    rng, nets, width, depth = np.random.default_rng(1), 20_000, 40, 4
    x = np.ones((nets, width))
    for _ in range(depth):
        # Given |x|, pre-activations are independent Gaussians: no weights need be drawn.
        q = 2 * (x**2).mean(axis=1, keepdims=True)
        x = np.maximum(np.sqrt(q) * rng.standard_normal((nets, width)), 0)
    squares = (x**2).mean(axis=1)
    sample = squares**2 / squares.mean() ** 2
    tolerance = 5 * sample.std() / math.sqrt(nets)
    assert moment_ratio(5.0, [width] * depth) == pytest.approx(sample.mean(), abs=tolerance)


@pytest.mark.parametrize(
    ("name", "scale"), [("relu", 1.0), ("tanh", 0.6), ("tanh", 1.4), ("hardtanh", 1.0), ("selu", 1.0), ("gelu", 0.6)]
)
def test_spread_of_gradients_equals_that_of_finite_nets(name: str, scale: float) -> None:
    """60 nets, 12 layers of 48, one sample: deviation within 28 %, three standard errors; mean within three + 0.05."""
    activation = as_activation(name)
    edge = edge_of_chaos(activation)
    initialisation = Initialisation(scale * edge.weight_variance, edge.bias_variance)
    totals, expected = sampled_and_expected(activation, initialisation)
    assert np.std(totals) == pytest.approx(expected.band.deviation, rel=0.28)
    tolerance = 3 * np.std(totals) / math.sqrt(len(totals)) + 0.05
    assert np.mean(totals) == pytest.approx(expected.attenuation + expected.band.bias, abs=tolerance)


def test_an_unstable_variance_widens_the_band() -> None:
    """GELU at its edge of chaos: without the response to the variance the band would be a third too narrow."""
    gelu = as_activation("gelu")
    totals, expected = sampled_and_expected(gelu, edge_of_chaos(gelu).initialisation)
    direct = math.sqrt(12 * backward_fluctuation(gelu) / 48) / (2 * math.log(10))
    assert np.std(totals) > 1.3 * direct
    assert 0.75 < np.std(totals) / expected.band.deviation < 1.1  # first order is an over-estimate here


def sampled_and_expected(activation: Activation, initialisation: Initialisation) -> tuple[list[float], Propagation]:
    """Return the attenuation of 60 nets of 12 layers of 48, and what theory expects."""
    totals = []
    for seed in range(60):
        norms = gradient_norms(activation, initialisation, widths=[48] * 13, q_0=1.0, seed=seed, batch=1)
        totals.append(math.log10(norms[0] / norms[-1]))
    return totals, propagate(uniform_chain(activation, initialisation, 13, 48), q_0=1.0)


def test_wide_nets_have_a_narrow_band() -> None:
    relu, he = as_activation("relu"), Initialisation(2.0)
    assert propagate(uniform_chain(relu, he, 20, 10_000)).band.deviation < 0.03
    assert propagate(uniform_chain(relu, he, 20)).band.deviation == 0


def test_noise_of_a_layer_equals_that_of_a_sample() -> None:
    """400 000 units: four standard errors, from 40 groups."""
    gelu, q, following = as_activation("gelu"), 1.4, Initialisation(1.8, 0.3)
    rng = np.random.default_rng(0)
    h = math.sqrt(q) * rng.standard_normal((40, 10_000))
    squares = gelu.value(h.ravel()).reshape(h.shape) ** 2
    back = (gelu.derivative(h.ravel()).reshape(h.shape) * rng.standard_normal(h.shape)) ** 2
    noise = layer_noise(gelu, q, following, 1)
    for exact, first, second in (
        (noise.forward, squares, squares),
        (noise.backward, back, back),
        (noise.joint, squares, back),
    ):
        groups = (first / first.mean() - 1) * (second / second.mean() - 1)
        means = groups.mean(axis=1)
        assert exact == pytest.approx(means.mean(), abs=4 * means.std() / math.sqrt(len(means)))


def test_noise_is_handed_on_to_later_layers() -> None:
    first = LayerNoise(width=10, backward=3.0, forward=4.0, joint=0.5, share=0.8, elasticity=0.7, sensitivity=-0.2)
    last = LayerNoise(width=20, backward=2.0, forward=5.0, joint=0.1, share=0.6, elasticity=0.9, sensitivity=-0.4)
    weight = -0.4 * 0.8  # how the last layer's factor answers to the variance that the first layer hands on
    variance = (3.0 + 2 * weight * 0.5 + weight**2 * 4.0) / 10 + 2.0 / 20
    assert (2 * math.log(10) * null_band([first, last]).deviation) ** 2 == pytest.approx(variance, rel=1e-12)
    infinite = dataclasses.replace(first, width=0)
    assert (2 * math.log(10) * null_band([infinite, last]).deviation) ** 2 == pytest.approx(2.0 / 20, rel=1e-12)
