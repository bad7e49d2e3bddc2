"""Published critical points, and the criterion for having one."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    Initialisation,
    Obstacle,
    as_activation,
    centre,
    centred_edge,
    critical_range,
    edge_of_chaos,
    edges_at_bias,
    gradient_factor,
    half_stable_points,
    known_activations,
    moments,
    poincare_gap,
    q_star,
)

# Activation: weight variance, bias variance and chi_par of the edge of chaos at variance 1.
AT_UNIT_VARIANCE = {
    "identity": (1, 0, 1),
    "relu": (2, 0, 1),
    "leaky_relu": (2 / (1 + 0.01**2), 0, 1),
    "leaky_relu(0.2)": (2 / (1 + 0.2**2), 0, 1),
    "prelu": (2 / (1 + 0.25**2), 0, 1),
    "rrelu": (2 / (1 + (11 / 48) ** 2), 0, 1),
    "relu6": (2, 0, 1),
    "elu": (1.49678, 0.03466, 0.860),
    "celu": (1.49678, 0.03466, 0.860),
    "selu": (0.93321, 0.06679, 0.730),
    "gelu": (2.19370, 0.06719, 1.067),
    "silu": (2.63517, 0.06247, 1.099),
    "mish": (2.08732, 0.05582, 1.016),
    "hardswish": (2.78916, 0.07521, 1.132),
    "tanh": (2.15330, 0.15096, 0.392),
    "hardtanh": (1.46479, 0.24408, 0.291),
    "softsign": (4.39230, 0.19615, 0.383),
    "erf": (1.75620, 0.18414, 1 / 3),
    "sin": (1.76159, 0.23841, 0.238),
    "tanhshrink": (3.95270, 0.27712, 1.320),
    "softshrink": (1.62055, 0.32054, 1.000),
    "relu_squared": (0.5, 0.25, 1.5),
}


@pytest.mark.parametrize("name", AT_UNIT_VARIANCE)
def test_edge_of_chaos_at_unit_variance(name: str) -> None:
    weight_variance, bias_variance, growth = AT_UNIT_VARIANCE[name]
    edge = edge_of_chaos(as_activation(name))
    assert edge.feasible
    assert edge.weight_variance == pytest.approx(weight_variance, abs=6e-6)
    assert edge.bias_variance == pytest.approx(bias_variance, abs=6e-6)
    assert edge.growth == pytest.approx(growth, abs=6e-4)
    assert edge.stable == (growth <= 1)


@pytest.mark.parametrize(
    ("name", "bias_variance"),
    [("sigmoid", -5.54335), ("hardsigmoid", -9.02206), ("softplus", -2.14012), ("logsigmoid", -2.14012)],
)
def test_a_large_mean_forbids_criticality(name: str, bias_variance: float) -> None:
    edge = edge_of_chaos(as_activation(name))
    assert edge.obstacle is Obstacle.MEAN
    assert edge.bias_variance == pytest.approx(bias_variance, abs=6e-6)
    with pytest.raises(ValueError, match="no critical initialisation at q = 1: obstacle is the mean"):
        _ = edge.initialisation


def test_jumps_and_flat_functions_forbid_criticality() -> None:
    assert edge_of_chaos(as_activation("hardshrink")).obstacle is Obstacle.JUMP
    assert critical_range(as_activation("hardshrink")) == ()
    assert edge_of_chaos(as_activation(lambda x: np.ones_like(x))).obstacle is Obstacle.FLAT
    assert critical_range(as_activation(lambda x: np.ones_like(x))) == ()


def test_tanh_at_bias_variance_0_05_as_published() -> None:
    """Schoenholz et al., ICLR 2017: (1.76, 0.05)."""
    (edge,) = edges_at_bias(as_activation("tanh"), 0.05)
    assert edge.weight_variance == pytest.approx(1.760955, abs=1e-6)
    assert edge.q == pytest.approx(0.57005, abs=1e-5)
    assert -1 / math.log(edge.growth) == pytest.approx(1.521, abs=1e-3)
    assert edge.bias_variance == pytest.approx(0.05, rel=1e-12)


def test_tanh_at_the_point_of_pennington() -> None:
    """Pennington, Schoenholz and Ganguli, NeurIPS 2017: (1.05, 2.01e-5), which are variances."""
    (edge,) = edges_at_bias(as_activation("tanh"), 2.01e-5)
    assert edge.weight_variance == pytest.approx(1.05, abs=1e-5)
    assert edge.q == pytest.approx(0.02592, abs=1e-5)
    # Read as standard deviations the point is chaotic.
    tanh, misread = as_activation("tanh"), Initialisation(1.05**2, 2.01e-5**2)
    assert gradient_factor(tanh, q_star(tanh, misread), misread) > 1.002


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        (
            "tanh",
            {
                1e-6: 1.01825,
                1e-3: 1.18919,
                0.01: 1.42421,
                0.1: 1.98607,
                0.2: 2.28515,
                0.3: 2.50513,
                0.5: 2.84317,
                1: 3.44321,
            },
        ),
        ("erf", {1e-4: 0.85259, 0.01: 1.11428, 0.05: 1.37584, 0.1: 1.55212, 0.3: 1.96307}),
        # From the closed form, see test_quadrature.
        ("hardtanh", {1e-4: 1.00121, 0.01: 1.05206, 0.05: 1.16554, 0.1: 1.26341, 0.3: 1.52759}),
    ],
)
def test_critical_lines(name: str, curve: dict[float, float]) -> None:
    for bias_variance, weight_variance in curve.items():
        (edge,) = edges_at_bias(as_activation(name), bias_variance)
        assert edge.weight_variance == pytest.approx(weight_variance, abs=6e-6)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("silu", (1.98800, 0.55514, 14.32017)),  # Roberts, Yaida and Hanin 2022, section 5.3.4
        ("gelu", (1.98306, 0.17292, 3.56155)),  # ibidem: 1.983, 0.173
        ("gelu(approximate='tanh')", (1.98289, 0.17290, 3.55677)),
    ],
)
def test_half_stable_points_as_published(name: str, point: tuple[float, float, float]) -> None:
    (edge,) = half_stable_points(as_activation(name))
    assert (edge.weight_variance, edge.bias_variance, edge.q) == pytest.approx(point, abs=6e-6)
    assert edge.growth == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(("name", "q"), [("mish", 1.67), ("hardswish", 4.80)])
def test_further_half_stable_points(name: str, q: float) -> None:
    (edge,) = half_stable_points(as_activation(name))
    assert edge.q == pytest.approx(q, abs=5e-3)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "tanh", "erf", "relu6", "hardtanh", "tanhshrink", "relu_squared"]
)
def test_no_half_stable_point(name: str) -> None:
    assert half_stable_points(as_activation(name)) == ()


@pytest.mark.parametrize(("name", "low", "weight_variance"), [("sigmoid", 45.62, 103.0), ("hardsigmoid", 47.27, None)])
def test_sigmoids_are_critical_only_when_saturated(name: str, low: float, weight_variance: float | None) -> None:
    (found,) = critical_range(as_activation(name))
    assert found.low == pytest.approx(low, abs=6e-3)
    edge = edge_of_chaos(as_activation(name), found.low * (1 + 1e-9))
    assert edge.feasible
    assert edge.bias_variance == pytest.approx(0, abs=1e-5)
    if weight_variance is not None:
        assert edge.weight_variance == pytest.approx(weight_variance, abs=0.05)


@pytest.mark.parametrize("name", ["softplus", "logsigmoid"])
def test_softplus_is_never_critical(name: str) -> None:
    assert critical_range(as_activation(name)) == ()


@pytest.mark.parametrize(
    "name", ["tanh", "erf", "sin", "softsign", "elu", "selu", "relu", "gelu", "silu", "mish", "hardswish"]
)
def test_others_are_critical_at_every_variance(name: str) -> None:
    (found,) = critical_range(as_activation(name))
    assert found.low < 1.1e-4
    assert found.high > 9e4


@pytest.mark.parametrize(
    ("name", "weight_variance", "bias_variance", "growth"),
    [
        ("sigmoid", 22.303, 0.0325, 0.70),
        ("softplus", 3.4086, 0.0745, 0.977),
        ("gelu", 2.1937, 0.2418, 0.805),
        ("silu", 2.6352, 0.1750, 0.908),
        ("relu", 2.0, 0.3183, 0.682),
    ],
)
def test_centring_makes_critical_and_stable(
    name: str, weight_variance: float, bias_variance: float, growth: float
) -> None:
    edge = centred_edge(as_activation(name))
    assert edge.feasible
    assert edge.weight_variance == pytest.approx(weight_variance, abs=6e-4)
    assert edge.bias_variance == pytest.approx(bias_variance, abs=6e-5)
    assert edge.growth == pytest.approx(growth, abs=5e-3)
    assert edge.mean == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "mean"), [("sigmoid", 0.5), ("softplus", 0.80606), ("gelu", 0.28209), ("silu", 0.20662), ("relu", 0.39894)]
)
def test_centring_subtracts_the_mean(name: str, mean: float) -> None:
    activation = as_activation(name)
    x = np.linspace(-3, 3, 7)
    assert activation.value(x) - centre(activation).value(x) == pytest.approx(np.full(7, mean), abs=6e-6)


@pytest.mark.parametrize("name", sorted(set(known_activations()) - {"hardshrink"}))
@pytest.mark.parametrize("q", [0.3, 1.0, 20.0])
def test_poincare_gap_is_never_negative_and_decides_criticality(name: str, q: float) -> None:
    found = moments(as_activation(name), q)
    gap = poincare_gap(found)
    assert gap >= -1e-12 * found.square
    edge = edge_of_chaos(as_activation(name), q)
    assert edge.feasible == (found.mean**2 <= gap + 1e-10 * found.square)


def test_bias_variance_0_has_no_single_edge() -> None:
    with pytest.raises(ValueError, match="expected bias_variance > 0"):
        edges_at_bias(as_activation("relu"), 0.0)


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_a_centred_activation_can_be_looked_at_where_its_values_cancel(name: str) -> None:
    """Near the place where it crosses 0, phi - E phi is known to 1e-16 only, whatever its own size."""
    found = moments(centre(as_activation(name), 2.0), 1e-10)
    known = moments(as_activation(name), 1e-10)
    assert found.slope_square == pytest.approx(known.slope_square, rel=1e-10)
