"""One seed: a forward and a backward pass, measured as a probe step of a run would be, and nothing stepped."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from evengrad.checks.attention import TokenWatch, attentions
from evengrad.checks.feeding import Feed, Passed, pass_forward
from evengrad.checks.gradients import GradientCatcher, GradientReading
from evengrad.checks.optimizers import OptimizerChoice
from evengrad.checks.result import Attention
from evengrad.checks.subject import device_of, parameters_of
from evengrad.core.event import EventKind
from evengrad.core.info import Environment, ParamInfo
from evengrad.core.ledger import EntryKind, Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.errors import UsageError, WatchError
from evengrad.observation.deep import DeepProbe, SavedTensorHooks
from evengrad.observation.graph import MOST_NODES, Graph
from evengrad.observation.nonfinite import find_origin
from evengrad.observation.probe_mode import ProbeMode
from evengrad.observation.registry import Registry
from evengrad.observation.store import Store
from evengrad.probes._base import NodeView
from evengrad.probes._sizes import norm, resolve, rms
from evengrad.probes.losses import Losses


@dataclass(frozen=True)
class Nonlinearity:
    """An activation as the graph shows it: the operation, and the numbers that shape it."""

    operation: str
    module: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Probe:
    """What one seed showed; ``trace`` has one step, and every statistic of it at step 0."""

    trace: Trace
    loss: float
    passed: Passed
    gradients: Mapping[str, GradientReading]
    nonlinearities: Mapping[str, Nonlinearity]
    attention: tuple[Attention, ...]
    cosines: tuple[tuple[str, float], ...]
    reached: frozenset[str] = frozenset()  # parameters that get a gradient, now or once zero weights have moved
    weights: Mapping[str, float] = field(default_factory=dict)  # rms of each parameter
    copies: tuple[str, ...] = ()  # weights whose rows are all the same
    centred: frozenset[str] = frozenset()  # weights whose rows sum to zero: they see no mean
    post_norms: int = 0  # normalisations of a residual sum that carry on as the stream
    summed: bool = False  # the loss is a sum over samples, not a mean
    filled: tuple[str, ...] = ()  # zero weights that were moved off zero to see what lies behind them
    connected: bool = True  # the loss depends on a parameter

    @property
    def ledger(self) -> Ledger | None:
        """The ledger of the pass; None where there is only one layer on every path."""
        return self.trace.ledgers[0] if self.trace.ledgers else None

    @property
    def attenuation(self) -> float:
        """A, in decades; nan without a ledger."""
        return self.ledger.attenuation if self.ledger is not None else math.nan


_FEWEST_SUMMED, _CENTRED = 4, 0.1  # entries of a row, and sums relative to independent ones; own choice
# Modules up to which every operation remembers its callers: a stack of lines each takes time and memory, and in larger
# models most operations stand in a module, whose line is known without.
_MOST_TRACED = 500
_SUM = 2  # how torch numbers reduction="sum"
_NUMBERS = ("negative_slope", "alpha", "scale", "min_val", "max_val", "beta", "threshold")


class Prober:
    """Measures passes of one model."""

    def __init__(
        self, model: nn.Module, registry: Registry, hooks: SavedTensorHooks, optimizer: OptimizerChoice
    ) -> None:
        self._model = model
        self._registry = registry
        self._hooks = hooks
        self._optimizer = optimizer
        self._blown: Exception | None = None
        self._named = dict(parameters_of(model))
        registry.give(model)
        registry.name_everything(model.parameters())

    def _blow(self, where: str, error: Exception) -> None:
        self._blown = self._blown or error

    def look(self, feed: Feed, *, traced: bool = True) -> Probe:
        """Measure one pass.

        Args:
            feed: What the model is fed with.
            traced: Whether operations are to remember the lines that called them.

        Returns:
            What was measured.

        Raises:
            UsageError: The model, the batch and the loss do not fit together.
            WatchError: The graph is too large, or measuring failed.
        """
        store, mode = Store(), ProbeMode()
        deep = DeepProbe(self._registry, store, self._hooks, self._blow)
        tokens = TokenWatch(self._model, self._registry)
        deep.arm()
        tokens.start()
        if traced and sum(1 for _ in self._model.modules()) <= _MOST_TRACED:
            mode.enter()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                passed = pass_forward(self._model, feed)
                tokens.stop()
                return self._measure(deep, store, mode, passed, tuple(tokens.cosines))
        finally:
            tokens.stop()
            deep.disarm()
            mode.leave()

    def _measure(
        self, deep: DeepProbe, store: Store, mode: ProbeMode, passed: Passed, cosines: tuple[tuple[str, float], ...]
    ) -> Probe:
        """Send the gradient back and bring what was measured together."""
        value = float(passed.loss.detach())
        store.add(0, Statistic.LOSS, "", value)
        deep.loss_is_finite = math.isfinite(value)
        graph = deep.before_backward([passed.loss]) if passed.loss.requires_grad else None
        if graph is None:
            return self._cut_off(deep, store, passed, value)
        if not deep.loss_is_finite:
            self._examine(deep, graph, store)
        readable = {index: deep.readable(graph.operations[index]) for index in graph.data()}
        with torch.no_grad():
            attention = tuple(attentions(graph, readable))
        kinds, post_norms, summed = _nonlinearities(graph, readable), _post_norms(graph), _summed(graph)
        catcher = GradientCatcher(graph, self._registry.parameter_names)
        try:
            torch.autograd.backward(passed.loss)
        finally:
            catcher.remove()
        mode.stop_tracing_lines()
        with torch.no_grad():
            deep.after_backward(1.0)
            deep.after_step(0, 1.0, 0)
        failed = self._blown or catcher.error
        if failed is not None:
            raise WatchError(f"measuring the backward pass failed: {type(failed).__name__}: {failed}") from failed
        weights = self._record(store, catcher.readings)
        plain = replace(passed, loss=passed.loss.detach(), output=None)
        return Probe(
            trace=self._trace(deep, store),
            loss=value,
            passed=plain,
            gradients=catcher.readings,
            nonlinearities=kinds,
            attention=attention,
            cosines=cosines,
            reached=frozenset(name for name, reading in catcher.readings.items() if reading.norm != 0),
            weights=weights,
            copies=self._copies(),
            centred=self._centred(),
            post_norms=post_norms,
            summed=summed,
        )

    def _copies(self) -> tuple[str, ...]:
        """Return the weights all of whose rows are the same, and not zero."""
        with torch.no_grad():
            return tuple(name for name, p in self._named.items() if p.requires_grad and _rows_alike(p.detach()))

    def _centred(self) -> frozenset[str]:
        """Return the weights whose rows sum to (nearly) zero, which independent entries do not."""
        with torch.no_grad():
            return frozenset(name for name, p in self._named.items() if p.dim() >= 2 and _sums_to_zero(p.detach()))

    def _cut_off(self, deep: DeepProbe, store: Store, passed: Passed, value: float) -> Probe:
        """Return what can be said where no gradient flows, unless it is because the graph is too large."""
        if passed.loss.requires_grad and passed.loss.grad_fn is not None:
            raise WatchError(
                f"the graph of one pass has more than {MOST_NODES:,} operations: give a shorter sequence or a smaller "
                "batch, --input"
            )
        if not any(parameter.requires_grad for parameter in self._named.values()):
            raise UsageError("no parameter of the model requires a gradient: there is nothing to train")
        weights = self._record(store, {})
        plain = replace(passed, loss=passed.loss.detach(), output=None)
        return Probe(self._trace(deep, store), value, plain, {}, {}, (), (), weights=weights, connected=False)

    def _examine(self, deep: DeepProbe, graph: Graph, store: Store) -> None:
        """Note where a loss that is not finite was made."""
        store.note(EventKind.NON_FINITE_LOSS, 0)
        with torch.no_grad():
            origin = find_origin(graph, deep.readable, list(self._named.items()))
        if origin is None:
            return
        operation = origin.operation
        details = {
            "phase": origin.phase,
            "operation": operation.name if operation else "",
            "module": operation.module if operation else "",
            "quantity": "loss",
            "inputs": origin.inputs,
            "certainty": origin.certainty,
            "dtype": origin.dtype,
            "parameters": ", ".join(origin.parameters[:8]),
        }
        source = operation.source if operation else None
        store.note(EventKind.NON_FINITE, 0, key=origin.phase, details=details, source=source)

    def _record(self, store: Store, readings: Mapping[str, GradientReading]) -> dict[str, float]:
        """Record sizes of weights and gradients by parameter, and return those of the weights."""
        trained = {name: p for name, p in self._named.items() if p.requires_grad}
        with torch.no_grad():
            sizes = resolve([rms(p.detach()) for p in self._named.values()])
        for name, size in zip(self._named, sizes, strict=True):
            store.add(0, Statistic.WEIGHT_RMS, name, size)
        for name in trained:
            reading = readings.get(name)
            store.add(0, Statistic.GRAD_MISSING, name, float(reading is None))
            if reading is not None:
                store.add(0, Statistic.GRAD_RMS, name, reading.rms)
                store.add(0, Statistic.GRAD_ZERO_SHARE, name, reading.zero_share)
        squares = [reading.norm**2 for reading in readings.values()]
        store.add(0, Statistic.GRAD_NORM, "", math.sqrt(math.fsum(squares)) if squares else 0.0)
        bad = [name for name, reading in readings.items() if not math.isfinite(reading.norm)]
        if bad:
            details = {"parameters": ", ".join(bad[:8]), "count": str(len(bad)), "total": str(len(trained))}
            store.note(EventKind.NON_FINITE_GRADIENT, 0, details=details)
        return dict(zip(self._named, sizes, strict=True))

    def _trace(self, deep: DeepProbe, store: Store) -> Trace:
        names = self._optimizer.held(self._named)
        infos = tuple(
            ParamInfo(
                name=name,
                shape=tuple(parameter.shape),
                dtype=str(parameter.dtype).removeprefix("torch."),
                requires_grad=parameter.requires_grad,
                optimizer=0 if name in names else -1,
                group=0 if name in names else -1,
                module=name.rpartition(".")[0],
            )
            for name, parameter in self._named.items()
        )
        device = device_of(self._model).type
        return Trace(
            steps=1,
            modules=self._registry.infos(),
            layers=deep.layer_infos(),
            activations=tuple(deep.activations.values()),
            parameters=infos,
            optimizers=self._optimizer.infos(),
            series=store.series(),
            ledgers=store.ledgers(),
            time_profiles=store.profiles(),
            events=store.events(),
            environment=Environment(
                torch.__version__, platform.python_version(), device, {"time": time.strftime("%F")}
            ),
        )


def _nonlinearities(graph: Graph, readable: Mapping[int, bool]) -> dict[str, Nonlinearity]:
    """Return the activations of a graph by site."""
    found: dict[str, Nonlinearity] = {}
    for index in graph.data():
        operation = graph.operations[index]
        if not operation.site or operation.is_layer or operation.site in found:
            continue
        view = NodeView(operation.node, operation.name, operation.site, readable.get(index, False))
        numbers = {name: view.attribute(name, math.nan) for name in _NUMBERS}
        known = {name: value for name, value in numbers.items() if not math.isnan(value)}
        found[operation.site] = Nonlinearity(operation.name, operation.module, known)
    return found


def _post_norms(graph: Graph) -> int:
    """Return how many normalisations take a residual sum and are themselves added to the next one."""
    count = 0
    for index in graph.data():
        operation = graph.operations[index]
        if operation.kind is not EntryKind.NORMALISATION:
            continue
        below = (graph.operations[edge[0]].name for edge in operation.edges if edge is not None)
        above = (graph.operations[sender].name for sender, _ in operation.consumers)
        count += "Add" in below and "Add" in above
    return count


def _summed(graph: Graph) -> bool:
    """Return whether a loss of torch's own adds up its samples: then no guess's loss is comparable with it."""
    kinds = (*Losses.binary, *Losses.classification)
    losses = (operation for operation in graph.operations if operation.name in kinds)
    return any(NodeView(op.node, op.name, "", False).attribute("reduction", 1.0) == _SUM for op in losses)


def _sums_to_zero(weight: Tensor) -> bool:
    rows = weight.flatten(1) if weight.is_floating_point() else weight.new_zeros(0, 0)
    if rows.shape[0] == 0 or rows.shape[1] < _FEWEST_SUMMED:
        return False
    sums, size = resolve([norm(rows.sum(1)), norm(weight)])
    return sums < _CENTRED * size  # independent entries: about equal


def _rows_alike(weight: Tensor) -> bool:
    if weight.dim() < 2 or weight.shape[0] < 2 or weight[0].numel() < 2 or not bool(weight[0].any()):
        return False
    return bool(torch.equal(weight[0], weight[1])) and bool((weight == weight[:1]).all())
