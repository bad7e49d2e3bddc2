"""How unevenly a deep net stretches different directions: the spread of its Jacobian's singular values."""

from __future__ import annotations

import math

from evengrad.theory.activation import Activation
from evengrad.theory.averages import moments


def jacobian_spread(activation: Activation, q: float, depth: int, *, orthogonal: bool = False) -> float:
    """Return Var(e) / mean(e)^2 of the eigenvalues e of J J^T, the squared singular values of the end-to-end Jacobian.

    0 is dynamical isometry; ``nan`` for a Jacobian of 0. It is L (mu_2 / mu_1^2 - 1 - s_1) with mu_k = E phi'^(2k).

    Args:
        activation: The activation after every layer.
        q: Variance of the pre-activation, the same in every layer.
        depth: Layers L.
        orthogonal: Orthogonal weights (s_1 = 0) in place of Gaussian ones (s_1 = -1).

    Source:
        Pennington, Schoenholz and Ganguli, NeurIPS 2017, equation 22.
    """
    m = moments(activation, q)
    if m.slope_square == 0:
        return math.nan
    return depth * (m.slope_fourth / m.slope_square**2 - (1 if orthogonal else 0))
