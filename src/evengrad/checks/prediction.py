"""What mean-field theory expects of a plain chain, and which initialisation it would propose instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from evengrad.checks.probe import Nonlinearity, Probe
from evengrad.checks.result import Prediction, Proposal
from evengrad.core.info import ParamInfo, SiteInfo
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.errors import UsageError
from evengrad.theory.activation import Activation
from evengrad.theory.criticality import centre, centred_edge, edge_of_chaos
from evengrad.theory.lookup import as_activation
from evengrad.theory.mean_field import Initialisation
from evengrad.theory.propagation import ChainLayer, Propagation, propagate

_IDLE: Final = 0.02  # decades that an operation of another kind may change the gradient by in a chain; own choice
_CONTRACTIONS: Final = ("Addmm", "Mm", "Linear", "MkldnnLinear", "Convolution", "MkldnnConvolution", "ThnnConv2D")
_RECTIFIERS: Final = ("relu", "leaky_relu", "prelu", "relu6")
_SELU: Final = 1.0507009873554805
_SMALLEST: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Chain:
    """A plain chain: its layers by name, nearest the data first, as theory sees them, and the input's mean square."""

    names: tuple[str, ...]
    layers: tuple[ChainLayer, ...]
    input_square: float

    @property
    def activation(self) -> Activation:
        """The activation that most layers have."""
        return _commonest(self.layers)


def _commonest(layers: Sequence[ChainLayer]) -> Activation:
    """Return the activation of most layers but the last, which has none."""
    counts: dict[Activation, int] = {}
    for layer in layers[:-1]:
        counts[layer.activation] = counts.get(layer.activation, 0) + 1
    return max(counts, key=lambda activation: counts[activation])


def chain_of(probe: Probe) -> Chain | None:
    """Return the path of a probe's ledger as a plain chain; None where theory has no such thing."""
    trace, ledger = probe.trace, probe.ledger
    if ledger is None or ledger.steps_in_time > 1 or not ledger.entries:
        return None
    steps = _steps(ledger)
    if steps is None:
        return None
    sites = {site.name: site for site in trace.layers} | {site.module: site for site in trace.layers}
    names, activations = steps
    found = [sites.get(name) for name in names]
    layers: list[ChainLayer] = []
    by_place = {(kind.module, kind.operation): kind for kind in probe.nonlinearities.values()}
    weights = _Weights(trace)
    for site, entry, following in zip(found, [*activations, None], [*found[1:], None], strict=True):
        activation = _activation(entry, by_place)
        # Weights whose rows sum to zero do not see the mean of what they act on.
        blind = following is not None and bool(probe.centred.intersection(following.parameters))
        layer = weights.layer(site, centre(activation) if activation is not None and blind else activation)
        if layer is None:
            return None
        layers.append(layer)
    first = found[0]
    assert first is not None
    size = trace.get(Statistic.INPUT_RMS, first.name).first()
    if not (size > 0 and math.isfinite(size)) or len(layers) < 2:
        return None
    return Chain(tuple(site.name for site in found if site is not None), tuple(layers), size**2)


def _steps(ledger: Ledger) -> tuple[list[str], list[LedgerEntry | None]] | None:
    """Return the layers of a path and the activation between each two; None if anything else happens on it."""
    names, between = [ledger.first], []
    pending: LedgerEntry | None = None
    for entry in reversed(ledger.entries):
        if entry.uses > 1 or entry.kind in (EntryKind.MERGE, EntryKind.NORMALISATION, EntryKind.ATTENTION):
            return None
        if entry.kind is EntryKind.ACTIVATION:
            if pending is not None:
                return None
            pending = entry
        elif entry.kind is EntryKind.WEIGHT:
            between.append(pending)
            names.append(entry.module)
            pending = None
        # Not `> _IDLE`: a nan (0/0 behind an underflow) changes nothing that can be told.
        elif abs(entry.decades) > _IDLE:
            return None
    return (names, between) if pending is None and len(names) > 1 else None


def _activation(entry: LedgerEntry | None, known: dict[tuple[str, str], Nonlinearity]) -> Activation | None:
    """Return the activation of an entry; the identity where there is none, None where theory does not know it."""
    if entry is None:
        return as_activation("identity")
    kind = known.get((entry.module, entry.operation), Nonlinearity(entry.operation, entry.module))
    return theory_of(kind)


def theory_of(kind: Nonlinearity) -> Activation | None:
    """Return the activation of theory that an operation of autograd's is; None where there is none."""
    numbers = kind.numbers
    match kind.operation:
        case "Elu" if abs(numbers.get("scale", 1.0) - _SELU) < 1e-6:
            return as_activation("selu")
        case "Elu":
            return as_activation("elu", {"alpha": numbers.get("alpha", 1.0)})
        case "LeakyRelu":
            return as_activation("leaky_relu", {"negative_slope": numbers.get("negative_slope", 0.01)})
        case "PreluKernel" | "Prelu":
            return as_activation("leaky_relu", {"negative_slope": 0.25})
        case "Hardtanh" if numbers.get("min_val") == 0.0 and numbers.get("max_val") == 6.0:
            return as_activation("relu6")
        case "Threshold" | "ClampMin":
            return as_activation("relu")
        case name:
            try:
                return as_activation(name)
            except UsageError:
                return None


class _Weights:
    """The weights of a trace, as theory sees them."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._kinds = {module.name: module.kind for module in trace.modules}
        self._infos = {info.name: info for info in trace.parameters}
        self._biases = {i.module: i for i in trace.parameters if len(i.shape) == 1 and i.name.endswith("bias")}

    def layer(self, site: SiteInfo | None, activation: Activation | None) -> ChainLayer | None:
        """Return a layer with the activation after it; None where theory has no such layer."""
        if site is None or activation is None or site.operation not in _CONTRACTIONS:
            return None
        infos = [self._infos[name] for name in site.parameters if name in self._infos]
        matrices = [info for info in infos if len(info.shape) >= 2]
        if len(matrices) != 1 or "Transpose" in self._kinds.get(site.module, ""):
            return None
        matrix = matrices[0]
        size = self._size(matrix)
        if not math.isfinite(size):
            return None
        fan_in = matrix.numel / matrix.shape[0]
        return ChainLayer(Initialisation(fan_in * size**2, self._bias(matrix)), activation, matrix.shape[0])

    def _bias(self, matrix: ParamInfo) -> float:
        """Return the mean square of a layer's bias; 0 where it has none."""
        bias = self._biases.get(matrix.module)
        size = self._size(bias) if bias is not None and bias.shape[0] == matrix.shape[0] else 0.0
        return size**2 if math.isfinite(size) else 0.0

    def _size(self, info: ParamInfo) -> float:
        return self._trace.get(Statistic.WEIGHT_RMS, info.name).first()


def predict(chain: Chain) -> tuple[Prediction, dict[str, float]] | None:
    """Return what theory expects of a chain, and of each of its layers; None where its variances are degenerate."""
    outcome = _propagated(chain.layers, chain.input_square)
    if outcome is None:
        return None
    return _prediction(chain.layers, outcome), dict(zip(chain.names, outcome.decades, strict=True))


def _propagated(layers: Sequence[ChainLayer], input_square: float) -> Propagation | None:
    first = layers[0].initialisation
    q_0 = first.weight_variance * input_square + first.bias_variance
    return propagate(layers, q_0=q_0) if q_0 > _SMALLEST else None


def _prediction(layers: Sequence[ChainLayer], outcome: Propagation) -> Prediction:
    inner = [layer.initialisation for layer in layers[1:]]
    return Prediction(
        activation=_commonest(layers).label,
        layers=len(layers),
        attenuation=outcome.attenuation,
        bias=outcome.band.bias,
        deviation=outcome.band.deviation,
        weight_variance=_mean([one.weight_variance for one in inner]),
        bias_variance=float(np.mean([one.bias_variance for one in inner])),
        decades=outcome.decades,
    )


def _mean(values: Sequence[float]) -> float:
    """Return the geometric mean; 0 where a value is."""
    return math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0


def proposals(chain: Chain) -> tuple[Proposal, ...]:
    """Return the initialisations that theory expects to keep signal and gradient, best first.

    For an activation without one (sigmoid), what it expects of weights whose rows sum to zero, so that its mean does
    not count, and what once it is replaced by tanh or ReLU.
    """
    phi = chain.activation
    edge = edge_of_chaos(phi, 1.0)
    now = _mean([layer.initialisation.weight_variance for layer in chain.layers[1:]])
    if edge.feasible:
        name = "he" if phi.name in _RECTIFIERS else "lecun" if phi.name == "identity" else "critical"
        return _proposal(chain, name, edge.initialisation, now, None)
    centred = centred_edge(phi, 1.0)
    found: tuple[Proposal, ...] = ()
    if centred.feasible:
        found = _proposal(chain, "centred", centred.initialisation, now, centre(phi))
    for name in ("tanh", "relu"):
        other = as_activation(name)
        initialisation = edge_of_chaos(other, 1.0).initialisation
        found += _proposal(chain, f"{name}+{'he' if name == 'relu' else 'critical'}", initialisation, now, other)
    return found


def _proposal(
    chain: Chain, method: str, initialisation: Initialisation, now: float, activation: Activation | None
) -> tuple[Proposal, ...]:
    """Return a proposal with what it would do to the chain; none where even that cannot be computed."""
    layers = [
        replace(
            layer,
            initialisation=initialisation,
            activation=activation
            if activation is not None and layer.activation is chain.activation
            else layer.activation,
        )
        for layer in chain.layers
    ]
    outcome = _propagated(layers, chain.input_square)
    if outcome is None:
        return ()
    factor = math.sqrt(initialisation.weight_variance / now) if now > 0 else math.inf
    expected = _prediction(layers, outcome)
    return (Proposal(method, factor, initialisation.weight_variance, initialisation.bias_variance, expected),)
