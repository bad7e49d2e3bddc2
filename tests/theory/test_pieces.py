import math

import numpy as np
import pytest

from evengrad.theory import as_activation, known_activations
from evengrad.theory.pieces import Kink, find_kinks, resolve


@pytest.mark.parametrize("name", known_activations())
def test_search_finds_the_declared_kinks_of_every_known_activation(name: str) -> None:
    activation = as_activation(name)
    found = find_kinks(activation.value, -64.0, 64.0)
    # Softplus jumps by 2e-9 where torch switches to x: declared, below what matters, and not found.
    declared = () if name == "softplus" else activation.kinks
    assert tuple(kink.position for kink in found) == declared
    assert tuple(kink.position for kink in found if kink.order == 0) == activation.jumps


@pytest.mark.parametrize("at", [1 / 3, math.pi, -17.123456789, 1e-3])
@pytest.mark.parametrize(
    ("order", "function"),
    [
        (0, lambda x: np.where(x > 0, 1.0, 0.0)),
        (1, lambda x: np.maximum(x, 0)),
        (2, lambda x: np.maximum(x, 0) ** 2),
    ],
)
def test_kink_at_an_odd_place_is_found_with_its_order(at: float, order: int, function) -> None:
    (kink,) = find_kinks(lambda x: np.tanh(x) + function(x - at), -64.0, 64.0)
    assert kink.order == order
    assert kink.position == pytest.approx(at, abs=(2e-12, 2e-11, 2e-8)[order])


def test_many_kinks_are_told_apart() -> None:
    places = [-3.7, -0.51, -0.5, 0.2, 0.9, 6.0]
    found = find_kinks(lambda x: sum(np.abs(x - place) for place in places), -64.0, 64.0)
    assert [kink.position for kink in found] == pytest.approx(places, abs=1e-11)


@pytest.mark.parametrize("steepness", [1.0, 50.0, 2000.0])
def test_steep_but_smooth_functions_have_no_kinks(steepness: float) -> None:
    assert find_kinks(lambda x: np.tanh(steepness * (x - 0.3)), -64.0, 64.0) == ()


def test_kink_is_a_value() -> None:
    assert Kink(1.0, 0) == Kink(1.0, 0)


@pytest.mark.parametrize("name", known_activations())
def test_series_equal_the_function_and_its_derivative(name: str) -> None:
    activation = as_activation(name)
    pieces = resolve(activation.value, -16.0, 16.0, splits=activation.kinks)
    x = np.random.default_rng(0).uniform(-16, 16, 4000)
    scale = np.abs(activation.value(x)).max()
    assert np.abs(pieces.value(x) - activation.value(x)).max() <= 1e-12 * scale
    assert np.abs(pieces.derivative(x) - activation.derivative(x)).max() <= 1e-9  # two digits lost per n^2 / h


def test_a_function_that_is_not_finite_is_refused_with_the_place() -> None:
    def square_root(x):
        with np.errstate(invalid="ignore"):
            return np.sqrt(x)

    with pytest.raises(ValueError, match="finite on the real axis; it is not at x = -4"):
        resolve(square_root, -4.0, 4.0)


def test_noise_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected a piecewise smooth function"):
        resolve(lambda x: rng.standard_normal(x.shape), -1.0, 1.0)
