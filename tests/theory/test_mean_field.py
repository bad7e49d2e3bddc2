"""Variance maps, fixed points and gradient factors."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    Initialisation,
    Phase,
    as_activation,
    decades_per_layer,
    depth_scale,
    edge_of_chaos,
    fixed_points,
    gradient_factor,
    known_activations,
    moments,
    phase,
    propagate,
    q_star,
    uniform_chain,
    variance_map,
)

from .nets import gradient_norms

PYTORCH, XAVIER, HE = Initialisation(1 / 3), Initialisation(1.0), Initialisation(2.0)


@pytest.mark.parametrize(
    ("initialisation", "rates"),
    [
        (
            PYTORCH,
            {
                "relu": -0.389, "leaky_relu": -0.389, "tanh": -0.239, "elu": -0.239, "hardtanh": -0.239,
                "identity": -0.239, "gelu": -0.540, "silu": -0.540, "mish": -0.460, "softplus": -0.531,
                "sigmoid": -0.849, "selu": -0.078,
            },
        ),
        (XAVIER, {"relu": -0.151, "gelu": -0.301, "silu": -0.301, "sigmoid": -0.627, "selu": 0.015, "tanh": 0.0}),
        (HE, {"relu": 0.0, "mish": -0.071, "gelu": -0.151, "silu": -0.151, "hardswish": -0.151, "sigmoid": -0.498}),
    ],
)  # fmt: skip
def test_decades_per_layer_of_common_choices(initialisation: Initialisation, rates: dict[str, float]) -> None:
    for name, rate in rates.items():
        activation = as_activation(name)
        factor = gradient_factor(activation, q_star(activation, initialisation), initialisation)
        assert decades_per_layer(factor) == pytest.approx(rate, abs=6e-4), name


@pytest.mark.parametrize(
    ("name", "factor"), [("relu", 1 / 6), ("tanh", 1 / 3), ("gelu", 1 / 12), ("silu", 1 / 12), ("sigmoid", 0.02)]
)
def test_pytorch_default_is_far_in_the_ordered_phase(name: str, factor: float) -> None:
    activation = as_activation(name)
    found = gradient_factor(activation, q_star(activation, PYTORCH), PYTORCH)
    assert found == pytest.approx(factor, rel=1e-3)
    assert phase(found) is Phase.ORDERED


def test_torch_gain_makes_tanh_chaotic_and_sigmoid_silent() -> None:
    tanh, sigmoid, torch_gain = as_activation("tanh"), as_activation("sigmoid"), Initialisation(25 / 9)
    assert gradient_factor(tanh, q_star(tanh, torch_gain), torch_gain) == pytest.approx(1.2098, abs=5e-5)
    assert gradient_factor(sigmoid, q_star(sigmoid, XAVIER), XAVIER) == pytest.approx(0.0557, abs=5e-5)


def test_torch_gain_of_selu_is_nearly_critical_at_a_small_variance() -> None:
    selu, quarter = as_activation("selu"), Initialisation(0.75**2)
    q = q_star(selu, quarter)
    assert q == pytest.approx(0.023, abs=5e-4)
    assert gradient_factor(selu, q, quarter) == pytest.approx(1.004, abs=5e-4)


def test_he_and_slowly_growing_variances() -> None:
    """Softplus and ELU at weight variance 2 have no fixed point: the variance creeps up like a power of depth."""
    softplus = as_activation("softplus")
    assert q_star(softplus, HE) == math.inf
    assert decades_per_layer(gradient_factor(softplus, 106.0, HE)) == pytest.approx(-0.017, abs=5e-4)
    assert q_star(as_activation("elu"), HE) == math.inf


def test_tanh_at_1_7603_is_just_ordered() -> None:
    tanh = as_activation("tanh")
    rounded = Initialisation(1.7603, 0.05)
    factor = gradient_factor(tanh, q_star(tanh, rounded), rounded)
    assert factor == pytest.approx(0.99986, abs=5e-6)
    assert phase(factor) is Phase.CRITICAL


@pytest.mark.parametrize(
    ("weight_variance", "scale"),
    [
        (1.0, 3.63),
        (1.3, 7.83),
        (1.5, 15.8),
        (1.7, 74.9),
        (1.8, 122),
        (2.0, 21.5),
        (2.5, 7.98),
        (3.0, 5.27),
        (4.0, 3.40),
    ],
)
def test_gradient_depth_scales_of_tanh(weight_variance: float, scale: float) -> None:
    """Schoenholz et al., ICLR 2017, at bias variance 0.05."""
    tanh, initialisation = as_activation("tanh"), Initialisation(weight_variance, 0.05)
    factor = gradient_factor(tanh, q_star(tanh, initialisation), initialisation)
    assert depth_scale(factor) == pytest.approx(scale, rel=2e-3)
    assert phase(factor) is (Phase.ORDERED if weight_variance < 1.76 else Phase.CHAOTIC)


def test_relu_variance_goes_where_arithmetic_says() -> None:
    relu = as_activation("relu")
    assert q_star(relu, Initialisation(1.9, 0.1)) == pytest.approx(0.1 / (1 - 0.95), rel=1e-12)
    assert q_star(relu, PYTORCH) == 0
    assert q_star(relu, HE, q_0=0.7) == 0.7
    assert q_star(relu, Initialisation(2.0, 0.1)) == math.inf
    assert q_star(relu, Initialisation(2.2)) == math.inf


def test_fixed_points_of_a_map_with_three_regimes() -> None:
    gelu = as_activation("gelu")
    low, high = fixed_points(gelu, Initialisation(2.1937, 0.0672))
    assert low.stable
    assert not high.stable
    assert (low.q, high.q) == pytest.approx((0.25284, 0.99988), abs=1e-5)
    # From between the two the variance falls to the lower one, from above it diverges, near the upper one it stays.
    assert q_star(gelu, Initialisation(2.1937, 0.0672), q_0=0.9) == pytest.approx(low.q, rel=1e-10)
    assert q_star(gelu, Initialisation(2.1937, 0.0672), q_0=1.2) == math.inf
    assert q_star(gelu, Initialisation(2.1937, 0.0672), q_0=1.0) == pytest.approx(high.q, rel=1e-10)


def test_a_map_that_falls_settles_too() -> None:
    bump, steep = as_activation(lambda x: np.exp(-(x**2) / 2)), Initialisation(40.0)
    (point,) = fixed_points(bump, steep)
    assert point.growth < 0
    assert point.q * math.sqrt(1 + 2 * point.q) == pytest.approx(40.0, rel=1e-10)  # E exp(-h^2) = 1 / sqrt(1 + 2 q)
    assert q_star(bump, steep) == pytest.approx(point.q, rel=1e-12)


@pytest.mark.parametrize("q", [0.1, 1.0, 10.0])
def test_no_map_falls_fast_enough_to_cycle(q: float) -> None:
    activations = [as_activation(name) for name in known_activations()] + [as_activation(lambda x: np.exp(-8 * x**2))]
    for activation in activations:
        found = moments(activation, q)
        assert found.square_growth * q / found.square >= -0.5


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "softsign", "hardtanh", "sigmoid"])
def test_fixed_points_are_fixed(name: str) -> None:
    activation, initialisation = as_activation(name), Initialisation(1.9, 0.07)
    for point in fixed_points(activation, initialisation):
        assert variance_map(activation, point.q, initialisation) == pytest.approx(point.q, rel=1e-11)


@pytest.mark.parametrize(
    ("name", "ordered", "chaotic"),
    [
        ("relu", -4.52, 2.64), ("tanh", -2.65, 1.23), ("erf", -2.78, 1.34), ("hardtanh", -3.27, 1.59),
        ("selu", -2.83, 1.03), ("elu", -3.25, 1.40), ("gelu", -6.96, 3.25), ("silu", -6.52, 4.30),
        ("mish", -5.78, 2.97), ("hardswish", -6.40, 4.73), ("softsign", -2.72, 1.22),
    ],
)  # fmt: skip
def test_total_decades_over_30_layers(name: str, ordered: float, chaotic: float) -> None:
    """At half and at one and a half times the critical weight variance, from variance 1."""
    activation = as_activation(name)
    edge = edge_of_chaos(activation)
    for scale, total in ((0.5, ordered), (1.0, 0.0), (1.5, chaotic)):
        initialisation = Initialisation(scale * edge.weight_variance, edge.bias_variance)
        found = propagate(uniform_chain(activation, initialisation, 31), q_0=1.0).attenuation
        assert found == pytest.approx(total, abs=6e-3)


@pytest.mark.parametrize(("name", "total"), [("sigmoid", -18.86), ("softplus", -8.09)])
def test_total_decades_of_activations_without_edge(name: str, total: float) -> None:
    found = propagate(uniform_chain(as_activation(name), XAVIER, 31), q_0=1.0).attenuation
    assert found == pytest.approx(total, abs=6e-3)


@pytest.mark.parametrize("name", ["relu", "tanh", "hardtanh", "selu", "gelu", "softsign", "sigmoid"])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_rate_equals_that_of_finite_nets(name: str, scale: float) -> None:
    """20 layers of 256 units, 2 seeds: within 0.03 nats per layer (c / 2n of finite width, and as much of chance)."""
    activation, depth = as_activation(name), 20
    edge = edge_of_chaos(activation)
    bias_variance = edge.bias_variance if edge.feasible else 0.0
    weight_variance = scale * edge.weight_variance if edge.feasible else scale
    initialisation = Initialisation(weight_variance, bias_variance)
    expected = propagate(uniform_chain(activation, initialisation, depth + 1), q_0=1.0).attenuation
    measured = []
    for seed in (0, 1):
        norms = gradient_norms(activation, initialisation, widths=[256] * (depth + 1), q_0=1.0, seed=seed)
        measured.append(math.log10(norms[0] / norms[-1]))
    assert (np.mean(measured) - expected) * 2 * math.log(10) / depth == pytest.approx(0, abs=0.03)


def test_widths_do_not_enter_l2_norms() -> None:
    relu = as_activation("relu")
    norms = gradient_norms(relu, HE, widths=[800, 200, 800, 200, 800], q_0=1.0, seed=0, batch=32)
    assert math.log10(norms[0] / norms[-1]) == pytest.approx(0, abs=0.1)


def test_depth_scale_and_decades_at_their_limits() -> None:
    assert depth_scale(1.0) == math.inf
    assert depth_scale(0.0) == 0
    assert depth_scale(math.exp(-1 / 7)) == pytest.approx(7)
    assert decades_per_layer(0.0) == -math.inf
    assert phase(0.0) is Phase.ORDERED


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_initialisation_refuses_impossible_variances(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected weight_variance to be a finite number >= 0"):
        Initialisation(wrong)
    with pytest.raises(ValueError, match="expected bias_variance to be a finite number >= 0"):
        Initialisation(1.0, wrong)
