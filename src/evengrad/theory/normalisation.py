"""What normalisation without skip connections does to the gradient, per layer."""

from __future__ import annotations

import numpy as np
from scipy import special

from evengrad.theory._arrays import Array, RealFunction
from evengrad.theory.activation import Activation, breakpoints
from evengrad.theory.averages import moments

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_DEVIATIONS = np.array([0, 0.75, 1.5, 2.5, 3.5, 5, 7, 9.5, 12])


def layer_norm_factor(activation: Activation) -> float:
    """Return the gradient factor of a layer whose pre-activations are normalised per sample, E phi'^2 / E phi^2.

    Source:
        Own derivation: chi_1 at q = 1 with the norm's 1/sigma; the part of the gradient projected out is O(1 / width).
    """
    m = moments(activation, 1.0)
    return m.slope_square / m.square


def batch_norm_factor(activation: Activation, batch: int | None = None) -> float:
    """Return the gradient factor of a layer phi(BN(W x)) deep in a net without skips.

    pi / (pi - 1) for ReLU and large batches, (B - 2) / (B - 3) for the identity. At the fixed point the samples of a
    batch are alike but for symmetry: the normalised pre-activations of one unit are uniform on the sphere of radius
    sqrt(B) within the B - 1 dimensions of mean 0, which turns the factor into integrals over one and two coordinates.

    Args:
        activation: The activation after every normalisation.
        batch: Samples B per batch, at least 6; ``None`` for the limit E phi'^2 / Var phi.

    Raises:
        ValueError: ``batch`` is below 6.

    Source:
        Yang et al., A mean field theory of batch normalization, ICLR 2019, gives the two values above; the form for any
        activation is our own, E tr(P D G D) / tr(G) over the variance of a unit, see the comments.
    """
    if batch is None:
        m = moments(activation, 1.0)
        return m.slope_square / m.variance
    if batch < 6:
        raise ValueError(f"expected a batch of at least 6, got {batch}; below that the factor has no moment")
    first, weights = _coordinate(activation, np.zeros(1), np.ones(1) * np.sqrt(batch - 1), batch - 1)
    first, weights = first[0], weights[0]
    # Given one coordinate z, another is -z / (B - 1) plus one on a sphere of one dimension less.
    centres = -first / (batch - 1)
    radii = np.sqrt(np.maximum((batch - first**2 * batch / (batch - 1)) * (batch - 2) / (batch - 1), 0.0))
    second, second_weights = _coordinate(activation, centres, radii, batch - 2)

    def pair(function: RealFunction) -> float:
        inner = (second_weights * function(second.ravel()).reshape(second.shape)).sum(axis=1)
        return float(weights @ (function(first) * inner))

    slopes = activation.derivative(first)
    square, tilted = float(weights @ slopes**2), float(weights @ (slopes * first) ** 2)
    signal = float(weights @ activation.value(first) ** 2) - pair(activation.value)
    slope_pair = pair(activation.derivative)
    tilted_pair = pair(lambda z: activation.derivative(z) * z)
    # tr(P D G D) with D = diag phi', G = I - 11^T / B and P the projection off 1 and off z.
    diagonal = batch * square * (1 - 1 / batch) - tilted
    total = batch * square - (square + (batch - 1) * slope_pair) - (tilted + (batch - 1) * tilted_pair)
    trace = diagonal - total / batch
    return batch * trace / (signal * (batch - 3) * (batch - 1))


def _coordinate(activation: Activation, centres: Array, radii: Array, dimension: int) -> tuple[Array, Array]:
    """Return nodes and weights of one coordinate of a uniform point on each of several spheres, both ``[N, M]``.

    With the coordinate centre + radius sin(angle), the density is cos(angle)^(dimension - 2).
    """
    kinks = breakpoints(activation, float(np.abs(centres).max() + radii.max()))
    steps = np.minimum(np.append(_DEVIATIONS / np.sqrt(dimension), np.pi / 2), np.pi / 2)
    grid = np.unique(np.concatenate([steps, -steps]))
    with np.errstate(divide="ignore", invalid="ignore"):
        sines = np.clip((kinks[None, :] - centres[:, None]) / radii[:, None], -1, 1)
    cuts = np.sort(np.concatenate([np.arcsin(sines), np.tile(grid, (len(centres), 1))], axis=1), axis=1)
    middle, half = (cuts[:, 1:] + cuts[:, :-1]) / 2, np.diff(cuts, axis=1) / 2
    angles = (middle[:, :, None] + half[:, :, None] * _NODES).reshape(len(centres), -1)
    norm = np.sqrt(np.pi) * np.exp(special.gammaln((dimension - 1) / 2) - special.gammaln(dimension / 2))
    weights = (half[:, :, None] * _WEIGHTS).reshape(len(centres), -1) * np.cos(angles) ** (dimension - 2) / norm
    return centres[:, None] + radii[:, None] * np.sin(angles), weights
