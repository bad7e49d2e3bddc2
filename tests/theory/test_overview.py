"""The whole picture of an activation."""

import math

import numpy as np
import pytest
from torch import nn

from evengrad.errors import UsageError
from evengrad.theory import (
    Initialisation,
    Obstacle,
    Outlook,
    Phase,
    as_activation,
    known_activations,
    picture,
)


def test_picture_of_gelu_at_depth_50() -> None:
    found = picture("gelu", depth=50, width=128)
    assert found.chosen == "critical"
    assert found.initialisation.weight_variance == pytest.approx(2.19370, abs=6e-6)
    assert found.q_star == pytest.approx(1)
    assert found.phase is Phase.CRITICAL
    assert found.gradient_factor == pytest.approx(1)
    assert found.variance_growth == pytest.approx(1.067, abs=5e-4)
    assert not found.critical.stable
    assert found.centred.stable
    assert found.half_stable[0].q == pytest.approx(3.56155, abs=6e-6)
    assert found.trainable.depth == pytest.approx(71.8, abs=0.1)  # its variance is unstable
    assert found.depth_scales.gradient == math.inf
    assert len(found.propagation.q) == len(found.correlations) == 50
    assert found.propagation.band.deviation > 0.2
    assert {row.name: row.phase for row in found.comparison} == {
        "pytorch-default": Phase.ORDERED,
        "xavier": Phase.ORDERED,
        "he": Phase.ORDERED,
        "critical": Phase.CRITICAL,
        "centred": Phase.CRITICAL,
    }


def test_picture_of_sigmoid_says_why_there_is_no_edge() -> None:
    found = picture("sigmoid", depth=10)
    assert found.chosen == "pytorch-default"
    assert found.critical.obstacle is Obstacle.MEAN
    assert found.critical_range[0].low == pytest.approx(45.62, abs=6e-3)
    assert found.phase is Phase.ORDERED
    assert found.correlation_star == 1
    assert found.decades_per_layer == pytest.approx(-0.849, abs=5e-4)
    assert found.trainable.depth < 6
    assert found.propagation.attenuation < -7
    assert [row.name for row in found.comparison] == ["pytorch-default", "xavier", "he", "centred"]
    assert found.comparison[-1].outlook is Outlook.TRAINS


def test_picture_of_tanh_as_published() -> None:
    """Schoenholz et al., ICLR 2017: trainable while L < 6 xi_c."""
    found = picture("tanh", weight_variance=1.3, bias_variance=0.05, depth=30)
    assert found.chosen == "given"
    assert found.depth_scales.correlation == pytest.approx(7.83, abs=5e-3)
    assert found.trainable.by_correlation == pytest.approx(6 * 7.83, abs=2.5)  # from layer 1, before the fixed point
    chaotic = picture("tanh", weight_variance=2.5, bias_variance=0.05, depth=30)
    assert chaotic.phase is Phase.CHAOTIC
    assert chaotic.correlations[-1] == pytest.approx(chaotic.correlation_star, abs=0.05)
    # The variance starts at 1, not at its fixed point, so that the first layers count for a little more or less.
    assert chaotic.trainable.by_gradient == pytest.approx(1 + 2 / chaotic.decades_per_layer, abs=1)


@pytest.mark.parametrize("name", known_activations())
def test_every_activation_has_a_picture(name: str) -> None:
    found = picture(name, depth=8)
    for row in found.comparison:
        assert row.gradient_factor >= 0
        # Shrinking activations silence a net whose variance falls.
        assert math.isfinite(row.attenuation) or name in {"hardshrink", "softshrink"}
    assert found.trainable.depth > 0 or name == "hardshrink"
    assert all(-1 <= c <= 1 for c in found.correlations)


def test_any_callable_has_the_picture_of_its_closed_form() -> None:
    known = picture(nn.LeakyReLU(0.2), depth=12)
    found = picture(lambda x: np.maximum(x, 0.2 * x), depth=12)
    assert found.initialisation.weight_variance == pytest.approx(known.initialisation.weight_variance, rel=1e-10)
    assert found.correlations == pytest.approx(known.correlations, abs=1e-9)


def test_bias_alone_keeps_pytorchs_weights() -> None:
    found = picture("relu", bias_variance=0.1, depth=3)
    assert found.initialisation == Initialisation(1 / 3, 0.1)


def test_parameters_reach_the_activation() -> None:
    found = picture("leaky_relu", parameters={"negative_slope": 0.5}, depth=3)
    assert found.critical.weight_variance == pytest.approx(2 / 1.25)


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"q_0": 0.0}, {"width": -1}])
def test_impossible_nets_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected depth >= 1, q_0 > 0 and width >= 0"):
        picture("tanh", **wrong)


def test_blocks_have_no_picture() -> None:
    with pytest.raises(UsageError, match="softmax is not element-wise"):
        picture("softmax")


def test_an_activation_can_be_passed_on() -> None:
    activation = as_activation("tanh")
    assert picture(activation, depth=2).activation is activation
