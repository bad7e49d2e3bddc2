"""Closed forms: what signal and gradient do in a deep net with fresh weights, before anything is run.

Everything here is a pure function of numbers and of an activation; torch is imported only to read a torch activation.
`picture` shows all of it for one activation.
"""

from evengrad.theory.activation import Activation, shift
from evengrad.theory.averages import Moments, moments
from evengrad.theory.correlation import correlation_map, correlation_slope, correlation_star
from evengrad.theory.criticality import (
    EdgeOfChaos,
    Interval,
    Obstacle,
    centre,
    centred_edge,
    critical_range,
    edge_of_chaos,
    edges_at_bias,
    half_stable_points,
    poincare_gap,
)
from evengrad.theory.finite_width import (
    LayerNoise,
    NullBand,
    backward_fluctuation,
    forward_fluctuation,
    layer_noise,
    moment_ratio,
    null_band,
)
from evengrad.theory.gain import Gains, gains, torch_gain
from evengrad.theory.isometry import jacobian_spread
from evengrad.theory.lookup import ActivationLike, as_activation, known_activations
from evengrad.theory.mean_field import (
    FixedPoint,
    Initialisation,
    Phase,
    decades_per_layer,
    depth_scale,
    fixed_points,
    gradient_factor,
    phase,
    q_star,
    variance_growth,
    variance_map,
)
from evengrad.theory.normalisation import batch_norm_factor, layer_norm_factor
from evengrad.theory.number_formats import NumberFormat, loss_scale, number_format, underflow_share
from evengrad.theory.outlook import HOPELESS, DepthLimits, Outlook, TrainableDepth, trainable_depth
from evengrad.theory.overview import (
    DepthScales,
    InitialisationRow,
    MeanFieldPicture,
    compare_initialisations,
    picture,
)
from evengrad.theory.propagation import ChainLayer, Propagation, correlate, propagate, uniform_chain
from evengrad.theory.quadrature import expectation, pair_expectation
from evengrad.theory.recurrence import (
    Recurrence,
    chrono_biases,
    gru_recurrence,
    lstm_recurrence,
    simple_recurrence,
    torch_drive_variance,
)
from evengrad.theory.residual import (
    Branch,
    DeepNorm,
    deepnorm,
    feed_forward_branch,
    post_norm_factor,
    pre_norm_factors,
    residual_factor,
)

__all__ = [
    "HOPELESS",
    "Activation",
    "ActivationLike",
    "Branch",
    "ChainLayer",
    "DeepNorm",
    "DepthLimits",
    "DepthScales",
    "EdgeOfChaos",
    "FixedPoint",
    "Gains",
    "Initialisation",
    "InitialisationRow",
    "Interval",
    "LayerNoise",
    "MeanFieldPicture",
    "Moments",
    "NullBand",
    "NumberFormat",
    "Obstacle",
    "Outlook",
    "Phase",
    "Propagation",
    "Recurrence",
    "TrainableDepth",
    "as_activation",
    "backward_fluctuation",
    "batch_norm_factor",
    "centre",
    "centred_edge",
    "chrono_biases",
    "compare_initialisations",
    "correlate",
    "correlation_map",
    "correlation_slope",
    "correlation_star",
    "critical_range",
    "decades_per_layer",
    "deepnorm",
    "depth_scale",
    "edge_of_chaos",
    "edges_at_bias",
    "expectation",
    "feed_forward_branch",
    "fixed_points",
    "forward_fluctuation",
    "gains",
    "gradient_factor",
    "gru_recurrence",
    "half_stable_points",
    "jacobian_spread",
    "known_activations",
    "layer_noise",
    "layer_norm_factor",
    "loss_scale",
    "lstm_recurrence",
    "moment_ratio",
    "moments",
    "null_band",
    "number_format",
    "pair_expectation",
    "phase",
    "picture",
    "poincare_gap",
    "post_norm_factor",
    "pre_norm_factors",
    "propagate",
    "q_star",
    "residual_factor",
    "shift",
    "simple_recurrence",
    "torch_drive_variance",
    "torch_gain",
    "trainable_depth",
    "underflow_share",
    "uniform_chain",
    "variance_growth",
    "variance_map",
]
