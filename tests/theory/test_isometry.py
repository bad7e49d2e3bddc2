"""Spread of the singular values of end-to-end Jacobians."""

import math

import numpy as np
import pytest

from evengrad.theory import as_activation, jacobian_spread


@pytest.mark.parametrize(
    ("name", "orthogonal", "per_layer"),
    [("identity", False, 1), ("relu", False, 2), ("identity", True, 0), ("relu", True, 1)],
)
@pytest.mark.parametrize("depth", [2, 16])
def test_spread_grows_like_depth(name: str, orthogonal: bool, per_layer: int, depth: int) -> None:
    """Pennington, Schoenholz and Ganguli, NeurIPS 2017: L, 2L, 0, L."""
    spread = jacobian_spread(as_activation(name), 1.0, depth, orthogonal=orthogonal)
    assert spread == pytest.approx(per_layer * depth, abs=1e-10)


@pytest.mark.parametrize("name", ["identity", "relu", "tanh", "hardtanh"])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_spread_equals_that_of_a_wide_jacobian(name: str, orthogonal: bool) -> None:
    """Width 300, depth 5: within 6 % + 0.02, of finite width and one draw."""
    activation, width, depth, q = as_activation(name), 300, 5, 0.8
    rng = np.random.default_rng(0)
    jacobian = np.eye(width)
    for _ in range(depth):
        weights = rng.standard_normal((width, width)) / math.sqrt(width)
        if orthogonal:
            weights, _ = np.linalg.qr(weights)
        slopes = activation.derivative(math.sqrt(q) * rng.standard_normal(width))
        jacobian = slopes[:, None] * (weights @ jacobian)
    eigenvalues = np.linalg.svd(jacobian, compute_uv=False) ** 2
    measured = eigenvalues.var() / eigenvalues.mean() ** 2
    assert jacobian_spread(activation, q, depth, orthogonal=orthogonal) == pytest.approx(measured, rel=0.06, abs=0.02)


def test_a_jacobian_of_0_has_no_spread() -> None:
    assert math.isnan(jacobian_spread(as_activation("hardshrink"), 1e-10, 5))
