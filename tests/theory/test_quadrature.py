import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special

from evengrad.theory import as_activation, edge_of_chaos, expectation, known_activations, moments, pair_expectation
from evengrad.theory._smooth import normal_density
from evengrad.theory.quadrature import pair_gap

VARIANCES = (0.01, 1.0, 30.0)


@pytest.mark.parametrize("name", known_activations())
def test_averages_equal_adaptive_quadrature_to_1e_10(name: str) -> None:
    activation = as_activation(name)
    for q in VARIANCES:
        found = moments(activation, q)
        for exact, value in (
            (found.mean, lambda x: activation.value(x)),
            (found.square, lambda x: activation.value(x) ** 2),
            (found.fourth, lambda x: activation.value(x) ** 4),
            (found.slope_square, lambda x: activation.derivative(x) ** 2),
            (found.slope_fourth, lambda x: activation.derivative(x) ** 4),
        ):
            twin = adaptive(value, q, activation.kinks)
            assert exact == pytest.approx(twin, rel=1e-10, abs=1e-10)


def adaptive(function, q: float, kinks) -> float:
    """SciPy's QUADPACK between breakpoints; right to 1e-13 or so, and thousands of times slower."""
    deviation = math.sqrt(q)
    places = (0.0, *kinks, *(step * deviation for step in (-12, -7, -4, -2, -1, 1, 2, 4, 7, 12)))
    ends = sorted({place for place in places if abs(place) <= 12 * deviation})
    density = lambda x: float(function(np.array([x]))[0]) * math.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)  # noqa: E731
    return math.fsum(
        integrate.quad(density, low, high, epsabs=1e-14, epsrel=1e-12, limit=200)[0]
        for low, high in itertools.pairwise(ends)
    )


@pytest.mark.parametrize("name", known_activations())
def test_growth_of_the_mean_square_equals_its_difference_quotient(name: str) -> None:
    activation = as_activation(name)
    step = 1e-5
    quotient = (moments(activation, 1 + step).square - moments(activation, 1 - step).square) / (2 * step)
    assert moments(activation, 1.0).square_growth == pytest.approx(quotient, rel=1e-8)  # truncation is step^2


@pytest.mark.parametrize("correlation", [-0.99, -0.3, 0.0, 1e-6, 0.4, 0.9, 1 - 1e-3, 1 - 1e-9, 1.0])
def test_pairs_equal_the_closed_forms_for_relu_and_erf(correlation: float) -> None:
    relu, erf, q = as_activation("relu"), as_activation("erf"), 1.7
    angle = math.acos(correlation)
    arc_cosine = q * (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)  # Cho and Saul, NeurIPS 2009
    assert pair_expectation(relu, q, correlation) == pytest.approx(arc_cosine, abs=1e-12)
    step = (math.pi - angle) / (2 * math.pi)
    assert pair_expectation(relu, q, correlation, derivative=True) == pytest.approx(step, abs=1e-12)
    arc_sine = 2 / math.pi * math.asin(2 * q * correlation / (1 + 2 * q))  # Williams, NeurIPS 1996
    assert pair_expectation(erf, q, correlation) == pytest.approx(arc_sine, abs=1e-12)


@pytest.mark.parametrize("name", ["gelu", "hardswish", "elu", "hardshrink", "softplus"])
@pytest.mark.parametrize("correlation", [-0.6, 0.35, 0.97])
def test_pairs_equal_the_series_over_hermite_coefficients(name: str, correlation: float) -> None:
    activation, q, terms = as_activation(name), 2.0, 60
    series = 0.0
    for order in range(terms):
        hermite = special.eval_hermitenorm
        scale = math.sqrt(math.factorial(order))
        coefficient = expectation(
            lambda x: activation.value(x) * hermite(order, x / math.sqrt(q)) / scale,  # noqa: B023
            q,
            activation.kinks,
        )
        series += coefficient**2 * correlation**order
    # What 60 terms leave out is at most |c|^60 of the mean square.
    left_out = moments(activation, q).square * abs(correlation) ** terms
    assert pair_expectation(activation, q, correlation) == pytest.approx(series, abs=1e-10 + left_out)


@pytest.mark.parametrize("name", ["tanh", "relu", "hardtanh", "mish"])
def test_pairs_equal_monte_carlo(name: str) -> None:
    activation, q, correlation, samples = as_activation(name), 1.5, 0.7, 400_000
    rng = np.random.default_rng(3)
    first = rng.standard_normal(samples)
    second = correlation * first + math.sqrt(1 - correlation**2) * rng.standard_normal(samples)
    products = activation.value(math.sqrt(q) * first) * activation.value(math.sqrt(q) * second)
    tolerance = 4 * products.std() / math.sqrt(samples)
    assert pair_expectation(activation, q, correlation) == pytest.approx(products.mean(), abs=tolerance)


@pytest.mark.parametrize("name", known_activations())
def test_gap_of_nearly_equal_inputs_does_not_cancel(name: str) -> None:
    activation, q, gap = as_activation(name), 1.0, 1e-10
    # To first order the gap is q E phi'^2 (1 - c); kinks add a term of order (1 - c)^(3/2), jumps one of (1 - c)^(1/2).
    slope = moments(activation, q).slope_square
    found = pair_gap(activation, q, 1 - gap) / gap
    if activation.jumps:
        assert found > 1e3 * slope
    else:
        assert found == pytest.approx(q * slope, rel=1e-4)


@pytest.mark.parametrize("power", [1, 2, 3, 4, 6, 8])
def test_expectation_of_powers(power: int) -> None:
    exact = 0.0 if power % 2 else special.factorial2(power - 1) * 3.0 ** (power / 2)
    assert expectation(lambda x: x**power, 3.0) == pytest.approx(exact, rel=1e-12, abs=1e-10)


def test_expectation_of_a_narrow_feature_far_from_0() -> None:
    width, place = 1e-3, 2.3
    exact = width * math.sqrt(2 * math.pi) * normal_density(np.array([place]))[0]
    narrow = expectation(lambda x: np.exp(-((x - place) ** 2) / (2 * width**2)), 1.0, kinks=[place])
    assert narrow == pytest.approx(exact, rel=1e-5)  # the density itself bends by width^2 over the feature


def test_exponential_growth_is_integrated_and_faster_growth_refused() -> None:
    assert expectation(np.exp, 9.0) == pytest.approx(math.exp(4.5), rel=1e-12)
    with pytest.raises(ValueError, match="grows too fast"):
        expectation(lambda x: np.exp(0.3 * x**2), 1.0)


def test_range_of_arguments_is_checked() -> None:
    tanh = as_activation("tanh")
    with pytest.raises(ValueError, match="expected a variance in"):
        moments(tanh, 0.0)
    with pytest.raises(ValueError, match="expected a correlation in"):
        pair_expectation(tanh, 1.0, 1.1)


def test_erf_averages_equal_their_closed_forms() -> None:
    for q in (0.1, 1.0, 12.0):
        found = moments(as_activation("erf"), q)
        assert found.square == pytest.approx(2 / math.pi * math.asin(2 * q / (1 + 2 * q)), abs=1e-13)
        assert found.slope_square == pytest.approx(4 / (math.pi * math.sqrt(1 + 4 * q)), abs=1e-13)


def test_hard_tanh_edge_equals_its_closed_form() -> None:
    for q in (0.2, 1.0, 3.0):
        inside = math.erf(1 / math.sqrt(2 * q))
        square = q * inside - math.sqrt(2 * q / math.pi) * math.exp(-1 / (2 * q)) + 1 - inside
        edge = edge_of_chaos(as_activation("hardtanh"), q)
        assert edge.weight_variance == pytest.approx(1 / inside, rel=1e-12)
        assert edge.bias_variance == pytest.approx(q - square / inside, rel=1e-11)
