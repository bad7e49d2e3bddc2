"""Gains, against torch and against published tables."""

import pytest
from torch import nn

from evengrad.theory import as_activation, gains, known_activations, moments

# forward, variance, backward
TABLE = {
    "identity": (1, 1, 1),
    "relu": (1.41421, 1.71286, 1.41421),
    "leaky_relu": (1.41414, 1.70483, 1.41414),
    "leaky_relu(0.2)": (1.38675, 1.54646, 1.38675),
    "prelu": (1.37199, 1.50461, 1.37199),
    "rrelu": (1.37848, 1.52200, 1.37848),
    "relu6": (1.41421, 1.71286, 1.41421),
    "elu": (1.24520, 1.27084, 1.22343),
    "celu": (1.24520, 1.27084, 1.22343),
    "selu": (1, 1, 0.96603),
    "gelu": (1.53353, 1.70093, 1.48111),
    "gelu('tanh')": (1.53358, None, 1.48117),
    "silu": (1.67653, 1.78719, 1.62332),
    "mish": (1.48685, 1.59203, 1.44476),
    "hardswish": (1.73666, 1.81387, 1.67008),
    "tanh": (1.59254, 1.59254, 1.46741),
    "hardtanh": (1.39204, 1.39204, 1.21029),
    "softsign": (2.33753, 2.33753, 2.09578),
    "erf": (1.46717, 1.46717, 1.32522),
    "sin": (1.52087, 1.52087, 1.32725),
    "tanhshrink": (2.33837, 2.33837, 1.98814),
    "softshrink": (1.54436, 1.54436, 1.27301),
    "relu_squared": (0.81650, 0.89443, 0.70711),
    "sigmoid": (1.84623, 4.80131, 4.72265),
    "hardsigmoid": (1.89784, 6.01503, 6.00812),
    "softplus": (1.04187, 1.91913, 1.84623),
    "logsigmoid": (1.04187, 1.91913, 1.84623),
    "hardshrink": (1.01580, 1.01580, 1.27301),
}
# Gammas of NF-ResNets in timm and in the authors' code: Monte Carlo estimates of 1/std(phi), up to 0.08 % high.
NF_GAMMAS = {
    "gelu": 1.70150,
    "silu": 1.78813,
    "relu": 1.71396,
    "leaky_relu": 1.70590,
    "tanh": 1.59391,
    "sigmoid": 4.80384,
    "elu": 1.27160,
    "selu": 1.00085,
    "softplus": 1.92033,
    "relu6": 1.71315,
    "softsign": 2.33885,
}


@pytest.mark.parametrize("name", TABLE)
def test_table_of_gains(name: str) -> None:
    found = gains(as_activation(name))
    for value, expected in zip((found.forward, found.variance, found.backward), TABLE[name], strict=True):
        if expected is not None:
            assert value == pytest.approx(expected, abs=7e-6)


@pytest.mark.parametrize("name", NF_GAMMAS)
def test_variance_gains_are_the_gammas_of_nf_nets_without_their_sampling_error(name: str) -> None:
    """Brock, De and Smith, ICLR 2021."""
    assert NF_GAMMAS[name] / gains(as_activation(name)).variance - 1 == pytest.approx(5e-4, abs=4.5e-4)


@pytest.mark.parametrize(
    ("ours", "theirs", "parameter"),
    [
        ("identity", "linear", None),
        ("sigmoid", "sigmoid", None),
        ("tanh", "tanh", None),
        ("relu", "relu", None),
        ("leaky_relu", "leaky_relu", 0.01),
        ("leaky_relu(0.3)", "leaky_relu", 0.3),
        ("selu", "selu", None),
    ],
)
def test_torch_gain_is_what_torch_says(ours: str, theirs: str, parameter: float | None) -> None:
    assert gains(as_activation(ours)).torch == pytest.approx(nn.init.calculate_gain(theirs, parameter), rel=1e-15)


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "hardtanh", "elu"])
def test_torch_knows_no_other_gain(name: str) -> None:
    assert gains(as_activation(name)).torch is None


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.4)", "identity", "prelu"])
def test_one_gain_serves_both_directions_only_for_scale_invariant_activations(name: str) -> None:
    found = gains(as_activation(name))
    assert found.forward == pytest.approx(found.backward, rel=1e-12)


def test_selu_normalises_itself() -> None:
    """Klambauer et al., NeurIPS 2017: fixed point at mean 0 and variance 1, Jacobian 0.088834 and 0.782648."""
    found = moments(as_activation("selu"), 1.0)
    assert found.mean == pytest.approx(0, abs=1e-14)
    assert found.square == pytest.approx(1, abs=1e-14)
    assert found.square_growth == pytest.approx(0.782648, abs=5e-7)
    assert found.slope_square == pytest.approx(1.0716, abs=5e-5)


def test_a_flat_activation_has_infinite_gains() -> None:
    assert gains(as_activation(lambda x: 0 * x)).backward == float("inf")


def test_every_known_activation_has_gains() -> None:
    assert all(gains(as_activation(name)).backward > 0 for name in known_activations())
