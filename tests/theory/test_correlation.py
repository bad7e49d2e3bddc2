"""Correlation maps and their depth scales."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    Initialisation,
    as_activation,
    correlation_map,
    correlation_slope,
    correlation_star,
    depth_scale,
    gradient_factor,
    q_star,
)


@pytest.mark.parametrize(
    ("weight_variance", "scale"),
    [
        (1.0, 3.63),
        (1.3, 7.83),
        (1.5, 15.8),
        (1.7, 74.9),
        (1.8, 125.8),
        (2.0, 25.2),
        (2.5, 11.8),
        (3.0, 9.05),
        (4.0, 6.98),
    ],
)
def test_correlation_depth_scales_of_tanh(weight_variance: float, scale: float) -> None:
    """Schoenholz et al., ICLR 2017, at bias variance 0.05."""
    tanh, initialisation = as_activation("tanh"), Initialisation(weight_variance, 0.05)
    q = q_star(tanh, initialisation)
    c = correlation_star(tanh, q, initialisation)
    assert correlation_map(tanh, c, q, initialisation) == pytest.approx(c, abs=1e-12)
    assert depth_scale(correlation_slope(tanh, c, q, initialisation)) == pytest.approx(scale, rel=2e-3)
    assert (c == 1) == (weight_variance < 1.76)


def test_relu_map_is_the_arc_cosine_kernel() -> None:
    """Cho and Saul, NeurIPS 2009."""
    relu, he = as_activation("relu"), Initialisation(2.0)
    for c in (-0.8, 0.0, 0.3, 0.9, 0.9999):
        angle = math.acos(c)
        expected = (math.sin(angle) + (math.pi - angle) * c) / math.pi
        assert correlation_map(relu, c, 1.7, he) == pytest.approx(expected, abs=1e-12)
        assert correlation_slope(relu, c, 1.7, he) == pytest.approx((math.pi - angle) / math.pi, abs=1e-12)


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "elu"])
def test_slope_at_equal_inputs_is_the_gradient_factor(name: str) -> None:
    activation, initialisation = as_activation(name), Initialisation(1.6, 0.1)
    q = q_star(activation, initialisation)
    slope = correlation_slope(activation, 1.0, q, initialisation)
    assert slope == pytest.approx(gradient_factor(activation, q, initialisation), rel=1e-9)


@pytest.mark.parametrize(("name", "weight_variance"), [("tanh", 6.0), ("hardtanh", 5.0)])
def test_chaotic_fixed_point_is_reached_by_iteration(name: str, weight_variance: float) -> None:
    activation, initialisation = as_activation(name), Initialisation(weight_variance, 0.3)
    q = q_star(activation, initialisation)
    star = correlation_star(activation, q, initialisation)
    slope = correlation_slope(activation, star, q, initialisation)
    for start in (0.0, 0.5):
        c = start
        for _ in range(20):
            c = correlation_map(activation, c, q, initialisation)
        assert c == pytest.approx(star, abs=2 * slope**20)


def test_odd_activations_without_bias_forget_all_likeness() -> None:
    tanh, chaotic = as_activation("tanh"), Initialisation(2.5)
    assert correlation_star(tanh, q_star(tanh, chaotic), chaotic) == 0


def test_a_jump_parts_nearby_inputs_at_an_infinite_rate() -> None:
    step, initialisation = as_activation("threshold(0.0, -1.0)"), Initialisation(0.5, 0.1)
    q = q_star(step, initialisation)
    assert correlation_slope(step, 1.0, q, initialisation) == math.inf
    c = correlation_star(step, q, initialisation)
    assert 0 < c < 1
    assert correlation_map(step, c, q, initialisation) == pytest.approx(c, abs=1e-12)


def test_silent_layers_have_no_correlation_left_to_lose() -> None:
    shrink, initialisation = as_activation("hardshrink"), Initialisation(0.1)
    assert correlation_map(shrink, 0.5, 1e-10, initialisation) == 1
    assert correlation_slope(shrink, 0.5, 1e-10, initialisation) == 0
    assert correlation_star(shrink, 1e-10, initialisation) == 1


def test_map_equals_that_of_a_wide_layer() -> None:
    """4000 units, 400 pairs: within 5 standard errors of the mean."""
    activation, initialisation, q, c = as_activation("gelu"), Initialisation(2.2, 0.1), 1.3, 0.6
    rng = np.random.default_rng(0)
    first = rng.standard_normal((400, 4000))
    second = c * first + math.sqrt(1 - c**2) * rng.standard_normal(first.shape)
    x, y = (activation.value(math.sqrt(q) * h.ravel()).reshape(h.shape) for h in (first, second))
    shared = initialisation.weight_variance * (x * y).mean(axis=1) + initialisation.bias_variance
    square = initialisation.weight_variance * ((x**2 + y**2) / 2).mean(axis=1) + initialisation.bias_variance
    ratio = shared / square
    tolerance = 5 * ratio.std() / math.sqrt(len(ratio)) + 1e-4  # the mean of a ratio is off by O(1 / units)
    assert correlation_map(activation, c, q, initialisation) == pytest.approx(ratio.mean(), abs=tolerance)


@pytest.mark.parametrize("correlation", [0.2, 0.7, 0.95])
def test_slope_is_that_of_the_map_away_from_the_fixed_point_too(correlation: float) -> None:
    gelu, initialisation, q, step = as_activation("gelu"), Initialisation(1.4, 0.3), 2.5, 1e-5
    above = correlation_map(gelu, correlation + step, q, initialisation)
    below = correlation_map(gelu, correlation - step, q, initialisation)
    slope = correlation_slope(gelu, correlation, q, initialisation)
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-7)
