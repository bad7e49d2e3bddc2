"""What residual branches and the place of normalisation do to the gradient, per block."""

from __future__ import annotations

from dataclasses import dataclass

from evengrad.theory.activation import Activation
from evengrad.theory.mean_field import Initialisation, gradient_factor, variance_map


@dataclass(frozen=True)
class Branch:
    """A residual branch fed with unit-variance input.

    Attributes:
        variance: sigma_f^2, variance of its output.
        factor: chi_f, factor of the squared gradient norm on the way back through it.
    """

    variance: float
    factor: float


@dataclass(frozen=True)
class DeepNorm:
    """Constants of DeepNorm: the residual's weight ``alpha`` and the gain ``beta`` of the branch's weights."""

    alpha: float
    beta: float


def feed_forward_branch(activation: Activation, first: Initialisation, second: Initialisation) -> Branch:
    """Return variance and gradient factor of W2 phi(W1 x + b1) + b2 for x of unit variance."""
    q = first.weight_variance + first.bias_variance
    return Branch(
        variance=variance_map(activation, q, second),
        factor=first.weight_variance * gradient_factor(activation, q, second),
    )


def residual_factor(branch: Branch, scale: float = 1.0) -> float:
    """Return the gradient factor of a block x + scale f(x) without normalisation, 1 + scale^2 chi_f.

    Source:
        Yang and Schoenholz, NeurIPS 2017; Zhang, Dauphin and Ma, ICLR 2019 (the cross term is 0 for fresh weights).
    """
    return 1 + scale**2 * branch.factor


def pre_norm_factors(branch: Branch, depth: int, *, q_0: float = 1.0) -> tuple[float, ...]:
    """Return the gradient factors of blocks x + f(norm(x)), first block first.

    The stream's variance grows by sigma_f^2 per block, so that the factors 1 + chi_f / q_l approach 1 and their product
    grows like a power of depth.

    Args:
        branch: The branch after the norm.
        depth: Blocks.
        q_0: Variance of the stream before the first block.

    Source:
        Xiong et al., ICML 2020, section 3; De and Smith, NeurIPS 2020.
    """
    return tuple(1 + branch.factor / (q_0 + layer * branch.variance) for layer in range(depth))


def post_norm_factor(branch: Branch, *, alpha: float = 1.0) -> float:
    """Return the gradient factor of a block norm(alpha x + f(x)) while inputs are not correlated.

    It is 1 when the branch keeps signal and gradient alike; the published decay of (2/3)^(1/2) per block counts the
    identity path alone.

    Args:
        branch: The branch.
        alpha: Weight of the residual; 1 for post-LN, more for DeepNorm.

    Source:
        Own derivation (both sums grow by the branch's share, and the norm divides by the forward one); compare Xiong et
        al., ICML 2020, theorem 1.
    """
    return (alpha**2 + branch.factor) / (alpha**2 + branch.variance)


def deepnorm(encoder_layers: int, decoder_layers: int = 0) -> tuple[DeepNorm | None, DeepNorm | None]:
    """Return DeepNorm's constants for encoder and decoder; ``None`` for the one that is not there.

    Args:
        encoder_layers: N; 0 for decoder-only models.
        decoder_layers: M; 0 for encoder-only models.

    Raises:
        ValueError: Both are 0, or one is negative.

    Source:
        Wang et al., DeepNet, 2022, table 2.
    """
    if min(encoder_layers, decoder_layers) < 0 or encoder_layers + decoder_layers == 0:
        raise ValueError(f"expected a positive number of layers, got {encoder_layers} and {decoder_layers}")
    if encoder_layers and decoder_layers:
        joint = (encoder_layers**4 * decoder_layers) ** (1 / 16)
        decoder = DeepNorm((3 * decoder_layers) ** 0.25, (12 * decoder_layers) ** -0.25)
        return DeepNorm(0.81 * joint, 0.87 / joint), decoder
    layers = encoder_layers or decoder_layers
    alone = DeepNorm((2 * layers) ** 0.25, (8 * layers) ** -0.25)
    return (alone, None) if encoder_layers else (None, alone)
