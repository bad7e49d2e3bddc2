"""The mean-field picture of an activation: everything that theory can say about a deep net before it is built."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evengrad.theory.activation import Activation
from evengrad.theory.correlation import correlation_slope, correlation_star
from evengrad.theory.criticality import (
    EdgeOfChaos,
    Interval,
    centre,
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
from evengrad.theory.outlook import HOPELESS, DepthLimits, Outlook, TrainableDepth, trainable_depth
from evengrad.theory.propagation import ChainLayer, Propagation, correlate, propagate, uniform_chain
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
class InitialisationRow:
    """One initialisation compared with others at the depth asked for.

    Attributes:
        name: ``"given"``, ``"pytorch-default"``, ``"xavier"``, ``"he"``, ``"critical"``, or ``"centred"``: critical for
            the activation without its mean, which weights that sum to 0 over their inputs take away.
        initialisation: Its variances.
        q_star: Variance in the long run; may be 0 or ``inf``.
        gradient_factor: chi_1 there.
        phase: Ordered, critical or chaotic.
        propagation: Variances and gradients layer by layer.
        correlations: Correlation of two uncorrelated inputs layer by layer.
        trainable: Largest depth within the limits of nets that train.
        hopeless: Largest depth within the limits of nets that trained at all.
        jumps: Whether the activation jumps, which the derivative does not see: then theory promises nothing.
    """

    name: str
    initialisation: Initialisation
    q_star: float
    gradient_factor: float
    phase: Phase
    propagation: Propagation
    correlations: tuple[float, ...]
    trainable: TrainableDepth
    hopeless: TrainableDepth
    jumps: bool = False

    @property
    def attenuation(self) -> float:
        """log10 of the first layer's gradient norm over the last one's."""
        return self.propagation.attenuation

    @property
    def outlook(self) -> Outlook:
        """What to expect of a plain net as deep as asked for."""
        depth = len(self.propagation.q)
        if depth <= self.trainable.depth and not self.jumps:
            return Outlook.TRAINS
        return Outlook.DOUBTFUL if depth <= self.hopeless.depth else Outlook.FAILS

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
        width: Units per layer; 0 for infinitely many.
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
        comparison: The initialisation given, if any, and the usual ones, at the same depth.
    """

    activation: Activation
    initialisation: Initialisation
    chosen: str
    depth: int
    width: int
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
    return _picture_of(found, depth, q_0, width, (weight_variance, bias_variance))


def _picture_of(
    found: Activation, depth: int, q_0: float, width: int, variances: tuple[float | None, float | None]
) -> MeanFieldPicture:
    """Return the picture of an activation that was looked up; ``variances``: of weights and biases, as far as given."""
    critical = edge_of_chaos(found, q_0)
    initialisation, chosen = _choose(critical, *variances)
    given = initialisation if chosen == "given" else None
    comparison = compare_initialisations(found, depth, q_0=q_0, width=width, given=given)
    row = next(row for row in comparison if row.name == chosen)
    q = min(max(row.q_star, SMALLEST_VARIANCE), LARGEST_VARIANCE)
    growth = variance_growth(found, q, initialisation)
    correlation = correlation_star(found, q, initialisation)
    slope = correlation_slope(found, correlation, q, initialisation)
    return MeanFieldPicture(
        activation=found,
        initialisation=initialisation,
        chosen=chosen,
        depth=depth,
        width=width,
        q_0=q_0,
        q_star=row.q_star,
        fixed_points=fixed_points(found, initialisation),
        gradient_factor=row.gradient_factor,
        variance_growth=growth,
        correlation_star=correlation,
        correlation_slope=slope,
        phase=row.phase,
        depth_scales=DepthScales(depth_scale(growth), depth_scale(slope), depth_scale(row.gradient_factor)),
        trainable=row.trainable,
        propagation=row.propagation,
        correlations=row.correlations,
        critical=critical,
        critical_range=critical_range(found),
        centred=centred_edge(found, q_0),
        half_stable=half_stable_points(found),
        gains=gains(found),
        spread_gaussian=jacobian_spread(found, q, depth),
        spread_orthogonal=jacobian_spread(found, q, depth, orthogonal=True),
        comparison=comparison,
    )


def compare_initialisations(
    activation: Activation, depth: int, *, q_0: float = 1.0, width: int = 0, given: Initialisation | None = None
) -> tuple[InitialisationRow, ...]:
    """Return the usual initialisations side by side, with the critical one, or the centred one where that is steadier.

    Args:
        activation: The activation after every layer.
        depth: Weight layers of the net.
        q_0: Pre-activation variance of the first layer.
        width: Units per layer, for the finite-width band; 0 for infinitely many.
        given: A further initialisation, to come first.
    """
    named = [("pytorch-default", PYTORCH_DEFAULT), ("xavier", XAVIER), ("he", HE)]
    if given is not None:
        named.insert(0, ("given", given))
    edge, centred = edge_of_chaos(activation, q_0), centred_edge(activation, q_0)
    if edge.feasible:
        named.append(("critical", edge.initialisation))
    rows: dict[Initialisation, InitialisationRow] = {}  # He's is the critical one of ReLU
    for name, one in named:
        if one not in rows:
            long_run = q_star(activation, one, q_0=q_0)
            rows[one] = _row(name, uniform_chain(activation, one, depth, width), q_0, long_run)
    found = [replace(rows[one], name=name) for name, one in named]
    if centred.feasible and centred.stable and not (edge.feasible and edge.stable):
        without_mean, one = centre(activation, q_0), centred.initialisation
        # The variance it is made for is the one it keeps. (A search for others would cancel: x - E x near x = E x.)
        found.append(_row("centred", uniform_chain(without_mean, one, depth, width), q_0, q_0))
    return tuple(found)


def _row(name: str, layers: Sequence[ChainLayer], q_0: float, long_run: float) -> InitialisationRow:
    """Look at one initialisation. A limit of q at 0 or infinity is taken at the end of what quadrature covers."""
    activation, initialisation = layers[0].activation, layers[0].initialisation
    q = min(max(long_run, SMALLEST_VARIANCE), LARGEST_VARIANCE)
    factor = gradient_factor(activation, q, initialisation)
    slope = correlation_slope(activation, correlation_star(activation, q, initialisation), q, initialisation)
    scale, propagation = depth_scale(slope), propagate(layers, q_0=q_0)
    correlations = correlate(layers, propagation.q)
    settles = 0 < long_run < math.inf
    growth = variance_growth(activation, q, initialisation) if settles else 1.0
    safe, hopeless = (
        trainable_depth(factor, scale, limits, growth=growth, propagation=propagation, correlations=correlations)
        for limits in (DepthLimits(), HOPELESS)
    )
    return InitialisationRow(
        name=name,
        initialisation=initialisation,
        q_star=long_run,
        gradient_factor=factor,
        phase=phase(factor),
        propagation=propagation,
        correlations=correlations,
        trainable=safe,
        hopeless=hopeless,
        jumps=bool(activation.jumps),
    )


def _choose(
    critical: EdgeOfChaos, weight_variance: float | None, bias_variance: float | None
) -> tuple[Initialisation, str]:
    if weight_variance is not None:
        return Initialisation(weight_variance, bias_variance or 0.0), "given"
    if bias_variance is None:
        return (critical.initialisation, "critical") if critical.feasible else (PYTORCH_DEFAULT, "pytorch-default")
    return Initialisation(PYTORCH_DEFAULT.weight_variance, bias_variance), "given"
