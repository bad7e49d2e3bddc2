"""Published and recorded numbers that no other module of these tests holds."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    Initialisation,
    as_activation,
    centre,
    correlate,
    decades_per_layer,
    edge_of_chaos,
    gradient_factor,
    moments,
    propagate,
    q_star,
    uniform_chain,
)

from .nets import gradient_norms

HE = Initialisation(2.0)


@pytest.mark.parametrize(
    ("weight_variance", "measured"),
    [
        (1.0, -0.2727),
        (1.3, -0.1277),
        (1.5, -0.0649),
        (1.7, -0.0140),
        (2.0, 0.0497),
        (2.5, 0.113),
        (3.0, 0.182),
        (4.0, 0.283),
    ],
)
def test_rates_of_tanh_nets_of_1000_units(weight_variance: float, measured: float) -> None:
    """ln chi per layer, measured over 60 layers at bias variance 0.05 (setting of Schoenholz et al., ICLR 2017)."""
    tanh, initialisation = as_activation("tanh"), Initialisation(weight_variance, 0.05)
    factor = gradient_factor(tanh, q_star(tanh, initialisation), initialisation)
    assert math.log(factor) == pytest.approx(measured, abs=0.0125)  # one net each: chance of sqrt(c / n L) and c / 2 n


# ln chi per layer of nets of 512 units, 30 layers, 6 seeds, at half, once and one and a half times the critical
# weight variance of variance 1.
RECORDED = {
    "relu": (-0.705, -0.012, 0.394),
    "tanh": (-0.408, 0.000, 0.181),
    "erf": (-0.426, -0.002, 0.203),
    "hardtanh": (-0.499, 0.001, 0.233),
    "selu": (-0.429, -0.013, 0.150),
    "elu": (-0.502, -0.010, 0.206),
    "gelu": (-1.062, 0.002, 0.495),
    "silu": (-0.994, 0.048, 0.659),
    "mish": (-0.882, -0.016, 0.446),
    "hardswish": (-0.977, 0.077, 0.719),
    "softsign": (-0.422, 0.001, 0.176),
}


@pytest.mark.parametrize("name", RECORDED)
def test_rates_of_nets_of_512_units(name: str) -> None:
    activation = as_activation(name)
    edge = edge_of_chaos(activation)
    # Where the variance is unstable, seeds scatter at the edge: standard errors of 0.018 to 0.073 were recorded there.
    loose = 0.08 if edge.growth > 1.001 else 0.02
    for scale, measured, tolerance in zip((0.5, 1.0, 1.5), RECORDED[name], (0.02, loose, 0.02), strict=True):
        initialisation = Initialisation(scale * edge.weight_variance, edge.bias_variance)
        attenuation = propagate(uniform_chain(activation, initialisation, 31), q_0=1.0).attenuation
        assert attenuation * 2 * math.log(10) / 30 == pytest.approx(measured, abs=tolerance), scale


@pytest.mark.parametrize(("name", "measured"), [("sigmoid", -2.894), ("softplus", -1.249)])
def test_rates_of_nets_without_an_edge(name: str, measured: float) -> None:
    attenuation = propagate(uniform_chain(as_activation(name), Initialisation(1.0), 31), q_0=1.0).attenuation
    assert attenuation * 2 * math.log(10) / 30 == pytest.approx(measured, abs=0.02)


def test_no_gain_repairs_sigmoid_but_subtracting_its_mean_does() -> None:
    """The backward gain 4.72 loses 4.7 decades in 30 layers, as the variance grows; sigmoid - 0.5 loses 0.01."""
    sigmoid = as_activation("sigmoid")
    gained = propagate(uniform_chain(sigmoid, Initialisation(4.72**2), 31), q_0=1.0)
    assert gained.attenuation == pytest.approx(-4.7, abs=0.05)
    centred = centre(sigmoid)
    kept = propagate(uniform_chain(centred, edge_of_chaos(centred).initialisation, 31), q_0=1.0)
    assert kept.attenuation == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "gelu", "silu", "relu"])
def test_centred_activations_keep_the_gradient_of_finite_nets(name: str) -> None:
    """30 layers of 256 units, 4 seeds: at most 0.25 decades on average; recorded with 512 units: 0.2."""
    activation = centre(as_activation(name))
    initialisation = edge_of_chaos(activation).initialisation
    totals = []
    for seed in range(4):
        norms = gradient_norms(activation, initialisation, widths=[256] * 30, q_0=1.0, seed=seed, batch=2)
        totals.append(math.log10(norms[0] / norms[-1]))
    assert np.mean(totals) == pytest.approx(0, abs=0.25)


def test_lecun_weights_make_selu_mildly_chaotic() -> None:
    """chi_1 = 1.0716 (Klambauer et al., NeurIPS 2017, keep the variance, not the gradient): a decade in 67 layers."""
    assert 1 / decades_per_layer(moments(as_activation("selu"), 1.0).slope_square) == pytest.approx(66.6, abs=0.1)


@pytest.mark.parametrize(("depth", "slope"), [(30, 0.303), (50, 0.431), (101, 0.572), (200, 0.680)])
def test_slopes_of_tailored_leaky_relus(depth: int, slope: float) -> None:
    """Zhang, Botev and Martens, ICLR 2022 (TAT): the slope at which correlation 0 becomes 0.9 over the whole depth."""
    leaky = as_activation("leaky_relu", {"negative_slope": slope})
    chain = uniform_chain(leaky, Initialisation(2 / (1 + slope**2)), depth + 1)
    found = correlate(chain, propagate(chain, q_0=1.0).q)
    assert found[-1] == pytest.approx(0.9, abs=5e-4)
    assert found[-1] < correlate(uniform_chain(as_activation("relu"), HE, depth + 1), [1.0] * (depth + 1))[-1]


@pytest.mark.parametrize(("name", "kept", "lost"), [("hardtanh", 0.02, 0.1), ("relu6", 0.9, 4.0)])
def test_piecewise_linear_activations_are_marginal_while_nothing_saturates(name: str, kept: float, lost: float) -> None:
    """chi_par = 1 to rounding below a variance, and less above."""
    activation = as_activation(name)
    assert edge_of_chaos(activation, kept).growth == pytest.approx(1, abs=1e-7)
    assert edge_of_chaos(activation, lost).growth < 0.999


def test_centring_cannot_steady_an_expansive_odd_activation() -> None:
    shrink = as_activation("tanhshrink")
    assert moments(shrink, 1.0).mean == pytest.approx(0, abs=1e-14)
    assert edge_of_chaos(centre(shrink)).growth == pytest.approx(1.320, abs=5e-4)


@pytest.mark.parametrize(
    ("fan_in", "fan_out", "weight_variance"), [(100, 100, 1.0), (100, 400, 0.4), (400, 100, 1.6), (64, 192, 0.5)]
)
def test_xavier_keeps_neither_direction_where_widths_change(fan_in: int, fan_out: int, weight_variance: float) -> None:
    """Glorot and Bengio, AISTATS 2010: Var W = 2 / (fan_in + fan_out), here times fan_in, of weights as torch draws."""
    import torch

    torch.manual_seed(0)
    weights = torch.nn.init.xavier_normal_(torch.empty(fan_out, fan_in))
    assert float(weights.var()) * fan_in == pytest.approx(weight_variance, rel=0.03)
