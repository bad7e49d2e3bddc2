"""Residual blocks and the place of normalisation."""

import math

import numpy as np
import pytest

from evengrad.theory import (
    Branch,
    DeepNorm,
    Initialisation,
    as_activation,
    deepnorm,
    feed_forward_branch,
    post_norm_factor,
    pre_norm_factors,
    residual_factor,
)

HE_BRANCH = Branch(variance=1.0, factor=1.0)


def test_he_feed_forward_branch_keeps_signal_and_gradient() -> None:
    branch = feed_forward_branch(as_activation("relu"), Initialisation(2.0), Initialisation(1.0))
    assert (branch.variance, branch.factor) == pytest.approx((1.0, 1.0), rel=1e-12)


def test_branch_moments_equal_sampled_branches() -> None:
    """24 draws of width 300: four standard errors."""
    gelu, first, second, width = as_activation("gelu"), Initialisation(1.7, 0.2), Initialisation(0.9, 0.1), 300
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(24):
        weights = [rng.standard_normal((width, width)) * math.sqrt(i.weight_variance / width) for i in (first, second)]
        hidden = weights[0] @ rng.standard_normal(width) + math.sqrt(first.bias_variance) * rng.standard_normal(width)
        out = weights[1] @ gelu.value(hidden) + math.sqrt(second.bias_variance) * rng.standard_normal(width)
        gradient = rng.standard_normal(width)
        back = weights[0].T @ (gelu.derivative(hidden) * (weights[1].T @ gradient))
        draws.append(((out**2).mean(), (back**2).mean()))
    branch = feed_forward_branch(gelu, first, second)
    for exact, sample in zip((branch.variance, branch.factor), np.array(draws).T, strict=True):
        assert exact == pytest.approx(sample.mean(), abs=4 * sample.std() / math.sqrt(len(sample)))


@pytest.mark.parametrize(
    ("depth", "doubling", "root", "inverse"),
    [(10, 1.02e3, 2.59, 1.10), (30, 1.07e9, 2.67, 1.03), (60, 1.15e18, 2.70, 1.02)],
)
def test_growth_without_normalisation(depth: int, doubling: float, root: float, inverse: float) -> None:
    """2^L at scale 1, bounded by e at 1/sqrt(L), 1 at 1/L."""
    for scale, total in ((1.0, doubling), (1 / math.sqrt(depth), root), (1 / depth, inverse)):
        assert residual_factor(HE_BRANCH, scale) ** depth == pytest.approx(total, rel=6e-3)


@pytest.mark.parametrize("depth", [10, 30, 60])
def test_pre_norm_gradient_grows_linearly(depth: int) -> None:
    """Xiong et al., ICML 2020: L + 1 for a He branch."""
    assert math.prod(pre_norm_factors(HE_BRANCH, depth)) == pytest.approx(depth + 1, rel=1e-12)


def test_pre_norm_net_in_simulation() -> None:
    """30 He branches of width 256 behind RMS norms, gradient's squared norm: within 15 % of 31."""
    rng, width, depth, batch = np.random.default_rng(0), 256, 30, 16
    stream = rng.standard_normal((batch, width))
    tape = []
    for _ in range(depth):
        first = rng.standard_normal((width, width)) * math.sqrt(2 / width)
        second = rng.standard_normal((width, width)) / math.sqrt(width)
        rms = np.sqrt((stream**2).mean(axis=1, keepdims=True))
        hidden = (stream / rms) @ first
        tape.append((first, second, stream, rms, hidden))
        stream = stream + np.maximum(hidden, 0) @ second
    gradient = rng.standard_normal(stream.shape)
    start = (gradient**2).sum()
    for first, second, before, rms, hidden in reversed(tape):
        inner = ((gradient @ second.T) * (hidden > 0)) @ first.T / rms
        gradient = gradient + inner - before * (inner * before).mean(axis=1, keepdims=True) / rms**2
    assert (gradient**2).sum() / start == pytest.approx(math.prod(pre_norm_factors(HE_BRANCH, depth)), rel=0.15)


def test_post_norm_and_deepnorm_keep_the_gradient() -> None:
    assert post_norm_factor(HE_BRANCH) == 1
    assert post_norm_factor(Branch(variance=1.0, factor=0.5)) == 0.75
    encoder, _ = deepnorm(12)
    assert encoder is not None
    weak = Branch(variance=1.1, factor=0.9)
    assert post_norm_factor(weak, alpha=encoder.alpha) > post_norm_factor(weak)


def test_constants_of_deepnorm() -> None:
    """Wang et al., DeepNet, 2022, table 2."""
    assert deepnorm(8) == (DeepNorm(2.0, 64**-0.25), None)
    assert deepnorm(0, 8) == (None, DeepNorm(2.0, 64**-0.25))
    encoder, decoder = deepnorm(4, 27)
    assert encoder is not None
    assert decoder is not None
    assert encoder.alpha == pytest.approx(0.81 * (4**4 * 27) ** (1 / 16))
    assert encoder.beta == pytest.approx(0.87 * (4**4 * 27) ** (-1 / 16))
    assert decoder.alpha == pytest.approx(81**0.25)
    assert decoder.beta == pytest.approx((12 * 27) ** -0.25)


@pytest.mark.parametrize("layers", [(0, 0), (-1, 4)])
def test_deepnorm_needs_layers(layers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected a positive number of layers"):
        deepnorm(*layers)
