"""The mean-field picture of an activation: everything that theory can say about a deep net before it is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evengrad.theory.activation import Activation
from evengrad.theory.correlation import correlation_slope, correlation_star
from evengrad.theory.criticality import (
    EdgeOfChaos,
    Interval,
    centred_edge,
    critical_range,
    edge_of_chaos,
    half_stable_points,
)
from evengrad.theory.gain import Gains, gains
from evengrad.theory.isometry import jacobian_spread
from evengrad.theory.lookup import ActivationLike, as_activation
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
)
from evengrad.theory.propagation import Propagation, correlate, propagate, uniform_chain
from evengrad.theory.quadrature import LARGEST_VARIANCE, SMALLEST_VARIANCE

PYTORCH_DEFAULT = Initialisation(1 / 3)  # nn.Linear and nn.Conv: kaiming_uniform_(a=sqrt(5)); the bias is O(1 / fan_in)
XAVIER = Initialisation(1.0)  # for square layers; LeCun's is the same for all
HE = Initialisation(2.0)


@dataclass(frozen=True)
class DepthScales:
    """Layers over which a deviation of the variance, one of a correlation, and the squared gradient change by e."""

    variance: float
    correlation: float
    gradient: float


@dataclass(frozen=True)
class TrainableDepth:
    """Depths beyond which a plain net of equal layers is not expected to train.

    Attributes:
        by_correlation: Inputs can no longer be told apart (or lose all likeness) at the last layer.
        by_gradient: The gradient falls or grows over the whole depth by more than any net that trained showed.
    """

    by_correlation: float
    by_gradient: float

    @property
    def depth(self) -> float:
        """The smaller of the two; ``inf`` if theory sets no limit."""
        return min(self.by_correlation, self.by_gradient)


@dataclass(frozen=True)
class DepthLimits:
    """Thresholds of ``TrainableDepth``.

    Attributes:
        correlation_scales: Depth in units of the correlation's depth scale.
        vanishing_decades: Attenuation tolerated.
        exploding_decades: Growth tolerated.

    Source:
        Schoenholz et al., ICLR 2017, figure 5 (6 depth scales). The decades are our own choice: of 116 runs, those that
        trained lay between -2.9 and +1.6, those that failed of depth beyond -4.3 and +3.2.
    """

    correlation_scales: float = 6.0
    vanishing_decades: float = -4.0
    exploding_decades: float = 3.0


@dataclass(frozen=True)
class InitialisationRow:
    """One initialisation compared with others: its long-run rate and its total over the depth asked for."""

    name: str
    initialisation: Initialisation
    q_star: float
    gradient_factor: float
    phase: Phase
    attenuation: float

    @property
    def decades_per_layer(self) -> float:
        """Change of log10 of the gradient's norm per layer back, in the long run."""
        return decades_per_layer(self.gradient_factor)


@dataclass(frozen=True)
class MeanFieldPicture:
    """Everything theory says about a plain net of one activation and one initialisation.

    Attributes:
        activation: The activation.
        initialisation: The variances pictured.
        chosen: Where they come from: ``"given"``, ``"critical"``, or ``"pytorch-default"`` if there is no critical one.
        depth: Layers L.
        q_0: Pre-activation variance of the first layer.
        q_star: Variance in the long run; may be 0 or ``inf``.
        fixed_points: Every variance that a layer keeps.
        gradient_factor: chi_1 at ``q_star``.
        variance_growth: chi_par at ``q_star``.
        correlation_star: Correlation of two inputs in the long run.
        correlation_slope: Slope of the correlation map there.
        phase: Ordered, critical or chaotic.
        depth_scales: xi_q, xi_c, xi_grad.
        trainable: Largest trainable depth.
        propagation: Variances and gradients layer by layer, with the finite-width band.
        correlations: Correlation of two uncorrelated inputs layer by layer.
        critical: The edge of chaos at variance 1, or why there is none.
        critical_range: Variances at which there is one.
        centred: The edge of chaos once the mean is subtracted.
        half_stable: Edges of chaos at which the variance is stable from one side.
        gains: Forward, variance and backward gain.
        spread_gaussian: Var / mean^2 of the squared singular values of the end-to-end Jacobian, Gaussian weights.
        spread_orthogonal: The same for orthogonal weights.
        comparison: The usual initialisations at the same depth.
    """

    activation: Activation
    initialisation: Initialisation
    chosen: str
    depth: int
    q_0: float
    q_star: float
    fixed_points: tuple[FixedPoint, ...]
    gradient_factor: float
    variance_growth: float
    correlation_star: float
    correlation_slope: float
    phase: Phase
    depth_scales: DepthScales
    trainable: TrainableDepth
    propagation: Propagation
    correlations: tuple[float, ...]
    critical: EdgeOfChaos
    critical_range: tuple[Interval, ...]
    centred: EdgeOfChaos
    half_stable: tuple[EdgeOfChaos, ...]
    gains: Gains
    spread_gaussian: float
    spread_orthogonal: float
    comparison: tuple[InitialisationRow, ...]

    @property
    def decades_per_layer(self) -> float:
        """Change of log10 of the gradient's norm per layer back, in the long run."""
        return decades_per_layer(self.gradient_factor)


def picture(
    activation: ActivationLike,
    *,
    depth: int = 50,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    q_0: float = 1.0,
    width: int = 0,
    parameters: Mapping[str, float | str] | None = None,
) -> MeanFieldPicture:
    """Return the mean-field picture of an activation.

    Args:
        activation: Name, ``"package.module:function"``, torch module or function, or any element-wise callable.
        depth: Weight layers of the net.
        weight_variance: fan_in * Var(W); by default the critical one, or PyTorch's where there is none.
        bias_variance: Var(b); by default the critical one if ``weight_variance`` is not given either, else 0.
        q_0: Pre-activation variance of the first layer.
        width: Units per layer, for the finite-width band; 0 for infinitely many.
        parameters: Parameters of the activation by name.

    Raises:
        UsageError: The activation is unknown or not element-wise.
        ValueError: A variance is negative, ``q_0`` or ``depth`` not positive, or the activation has no second moment.

    Example:
        >>> picture("tanh", weight_variance=1.76, bias_variance=0.05).phase.value
        'critical'
    """
    if depth < 1 or q_0 <= 0 or width < 0:
        raise ValueError(f"expected depth >= 1, q_0 > 0 and width >= 0, got {depth}, {q_0:g} and {width}")
    found = as_activation(activation, parameters)
    critical = edge_of_chaos(found, q_0)
    initialisation, chosen = _choose(critical, weight_variance, bias_variance)
    long_run = q_star(found, initialisation, q_0=q_0)
    # Limits at 0 and at infinity are taken at the ends of what quadrature covers.
    q = min(max(long_run, SMALLEST_VARIANCE), LARGEST_VARIANCE)
    factor, growth = gradient_factor(found, q, initialisation), variance_growth(found, q, initialisation)
    correlation = correlation_star(found, q, initialisation)
    slope = correlation_slope(found, correlation, q, initialisation)
    scales = DepthScales(depth_scale(growth), depth_scale(slope), depth_scale(factor))
    layers = uniform_chain(found, initialisation, depth, width)
    propagation = propagate(layers, q_0=q_0)
    return MeanFieldPicture(
        activation=found,
        initialisation=initialisation,
        chosen=chosen,
        depth=depth,
        q_0=q_0,
        q_star=long_run,
        fixed_points=fixed_points(found, initialisation),
        gradient_factor=factor,
        variance_growth=growth,
        correlation_star=correlation,
        correlation_slope=slope,
        phase=phase(factor),
        depth_scales=scales,
        trainable=trainable_depth(factor, scales.correlation),
        propagation=propagation,
        correlations=correlate(layers, propagation.q),
        critical=critical,
        critical_range=critical_range(found),
        centred=centred_edge(found, q_0),
        half_stable=half_stable_points(found),
        gains=gains(found),
        spread_gaussian=jacobian_spread(found, q, depth),
        spread_orthogonal=jacobian_spread(found, q, depth, orthogonal=True),
        comparison=compare_initialisations(found, depth, q_0=q_0),
    )


def trainable_depth(factor: float, correlation_scale: float, limits: DepthLimits | None = None) -> TrainableDepth:
    """Return the largest depth at which a plain net is expected to train.

    Args:
        factor: chi_1 at the fixed point.
        correlation_scale: Depth scale of the correlation, in layers.
        limits: Thresholds; the defaults if not given.
    """
    limits = limits or DepthLimits()
    rate = decades_per_layer(factor)
    tolerated = limits.vanishing_decades if rate < 0 else limits.exploding_decades
    by_gradient = math.inf if math.isinf(depth_scale(factor)) else 1 + tolerated / rate
    return TrainableDepth(limits.correlation_scales * correlation_scale, by_gradient)


def compare_initialisations(activation: Activation, depth: int, *, q_0: float = 1.0) -> tuple[InitialisationRow, ...]:
    """Return the usual initialisations, and the critical one if there is one, side by side.

    Args:
        activation: The activation after every layer.
        depth: Weight layers of the net.
        q_0: Pre-activation variance of the first layer.
    """
    named = [("pytorch-default", PYTORCH_DEFAULT), ("xavier", XAVIER), ("he", HE)]
    edge = edge_of_chaos(activation, q_0)
    if edge.feasible:
        named.append(("critical", edge.initialisation))
    return tuple(_row(name, activation, initialisation, depth, q_0) for name, initialisation in named)


def _row(
    name: str, activation: Activation, initialisation: Initialisation, depth: int, q_0: float
) -> InitialisationRow:
    long_run = q_star(activation, initialisation, q_0=q_0)
    factor = gradient_factor(activation, long_run, initialisation)
    total = propagate(uniform_chain(activation, initialisation, depth), q_0=q_0).attenuation
    return InitialisationRow(name, initialisation, long_run, factor, phase(factor), total)


def _choose(
    critical: EdgeOfChaos, weight_variance: float | None, bias_variance: float | None
) -> tuple[Initialisation, str]:
    if weight_variance is not None:
        return Initialisation(weight_variance, bias_variance or 0.0), "given"
    if bias_variance is None:
        return (critical.initialisation, "critical") if critical.feasible else (PYTORCH_DEFAULT, "pytorch-default")
    return Initialisation(PYTORCH_DEFAULT.weight_variance, bias_variance), "given"
