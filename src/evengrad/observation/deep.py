"""One deep probe: from the forward pass of a step to the end of its optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import Match, SequenceMatcher

import torch
from torch import Tensor

from evengrad.core.discover import catalogue
from evengrad.core.event import EventKind
from evengrad.core.info import SiteInfo, SourceLine
from evengrad.core.ledger import Ledger, TimeProfile
from evengrad.core.statistic import Statistic
from evengrad.observation.calls import CallRecorder
from evengrad.observation.compiled import coarse_ledger, hidden_layers, is_hidden
from evengrad.observation.graph import Graph, Measurement, Operation, is_too_large
from evengrad.observation.output import squashed_twice
from evengrad.observation.paths import PathBuilder
from evengrad.observation.recurrence import time_profile
from evengrad.observation.registry import Registry
from evengrad.observation.store import Store
from evengrad.probes._base import AbstractNodeProbe, AbstractStepProbe, NodeView, Reading, StepView
from evengrad.probes._sizes import resolve

Blow = Callable[[str, Exception], None]
_MOST_LEARNED = 3000  # operations whose place is remembered between probes
_MOST_USES = 8  # of one site in a pass whose statistics are read; a recurrence has hundreds


@dataclass(frozen=True)
class Learned:
    """An operation of a probed step: its place, and the weights it uses."""

    name: str
    module: str
    source: SourceLine | None
    weights: tuple[str, ...]


class SavedTensorHooks:
    """Ranges of operations whose saved tensors belong to hooks (checkpointing, offloading) and must not be unpacked."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._ranges: list[tuple[int, int]] = []

    def enter(self) -> None:
        """Note that saved-tensor hooks come into force."""
        self._open.append(torch._C._autograd._get_sequence_nr())

    def leave(self) -> None:
        """Note that they end."""
        if self._open:
            self._ranges.append((self._open.pop(), torch._C._autograd._get_sequence_nr()))
            del self._ranges[:-4096]

    def covers(self, sequence: int) -> bool:
        """Return whether an operation was recorded under such hooks."""
        return any(start <= sequence < end for start, end in self._ranges) or any(s <= sequence for s in self._open)

    def clear(self) -> None:
        """Forget the ranges that have ended."""
        self._ranges = []


class DeepProbe:
    """Measures one backward pass and the optimizer step that follows; holds no tensor in between probes."""

    def __init__(self, registry: Registry, store: Store, hooks: SavedTensorHooks, blow: Blow) -> None:
        self._registry = registry
        self._store = store
        self._hooks = hooks
        self._blow = blow
        self.calls = CallRecorder(registry, blow)
        modules = catalogue("evengrad.probes").values()
        probes = [module.PROBE for module in modules]
        self._node_probes = [probe for probe in probes if isinstance(probe, AbstractNodeProbe)]
        self._step_probes = [probe for probe in probes if isinstance(probe, AbstractStepProbe)]
        self._readings: list[Reading] = []
        self._measurement: Measurement | None = None
        self._builder: PathBuilder | None = None
        self._profiles: list[TimeProfile] = []
        self._ledger: Ledger | None = None
        self._squashed: tuple[Operation, str] | None = None
        self._outside = False  # this step's graph is not walked
        self.since = 0  # number of the first operation of the step
        self._view: StepView | None = None
        self._lines: dict[tuple[str, str], SourceLine] = {}
        self.layers: dict[str, tuple[int, SiteInfo]] = {}
        self.activations: dict[str, SiteInfo] = {}
        self.learned: list[Learned] = []  # in the order of the forward pass
        self.hooked = 0
        self.armed = False
        self.loss_is_finite = True

    def arm(self, *, with_calls: bool = True) -> None:
        """Prepare for the backward pass to come; record module calls from now on, unless hooks must not be traced."""
        self.armed = True
        self.since = torch._C._autograd._get_sequence_nr()
        if with_calls:
            self.calls.arm()

    def disarm(self) -> None:
        """Take off every hook and let go of every tensor."""
        self.armed = False
        self.calls.disarm()
        self.calls.clear()
        if self._measurement is not None:
            self._measurement.disarm()
        self._measurement, self._builder, self._view, self._squashed = None, None, None, None
        self._readings, self._profiles, self._ledger, self._outside = [], [], None, False
        self._hooks.clear()

    def before_backward(self, roots: Sequence[Tensor]) -> Graph | None:
        """Read the graph and hook it; only the first backward pass of a step is measured."""
        if not self.armed or self._measurement is not None:
            return None
        if is_too_large(roots, self.since):
            self._outside = True
            return None
        graph = Graph(roots, self._registry, self.calls)
        if not graph.data():
            return None
        self._settle_lines(graph)
        self._learn(graph)
        self._squashed = squashed_twice(graph)
        with torch.no_grad():
            self._readings = list(self._read_nodes(graph))
        self._measurement = Measurement(graph, self._blow)
        self._measurement.arm()
        return graph

    def recall(self, graph: Graph) -> None:
        """Give the operations of another step's graph the modules and lines that an earlier probe has learned.

        The graphs of two steps are matched by the order in which their operations were recorded.
        """
        here = [graph.operations[i] for i in sorted(graph.data(), key=lambda i: graph.operations[i].sequence)]
        names = [operation.name for operation in here]
        if names == [known.name for known in self.learned]:
            blocks = [(0, 0, len(names))]
        else:
            blocks = [(b.a, b.b, b.size) for b in self._matched(names)]
        for learned_from, here_from, size in blocks:
            for offset in range(size):
                known, operation = self.learned[learned_from + offset], here[here_from + offset]
                operation.module = operation.module or known.module
                operation.source = operation.source or known.source

    def _matched(self, names: list[str]) -> list[Match]:
        """Return the longest runs that a step's operations share with the learned ones."""
        matcher = SequenceMatcher(None, [known.name for known in self.learned], names, autojunk=False)
        return matcher.get_matching_blocks()

    def _learn(self, graph: Graph) -> None:
        """Remember modules and lines of a probe's operations, for ``recall``."""
        ordered = sorted(graph.data(), key=lambda i: graph.operations[i].sequence)[:_MOST_LEARNED]
        operations = [graph.operations[index] for index in ordered]
        names = self._registry.parameter_names
        self.learned = [
            Learned(op.name, op.module, op.source, tuple(names[id(w)] for w in op.weights if id(w) in names))
            for op in operations
        ]

    def leaf_parameters(self) -> list[Tensor]:
        """Return the leaves that the measured backward pass sent gradient to."""
        return self._measurement.graph.leaf_parameters() if self._measurement is not None else []

    def readable(self, operation: Operation) -> bool:
        """Return whether an operation's saved tensors may be unpacked."""
        return not self._hooks.covers(operation.sequence)

    def _settle_lines(self, graph: Graph) -> None:
        """Remember source lines where they are known, and supply them where they are not (later probes)."""
        for index in graph.data():
            operation = graph.operations[index]
            key = (operation.module, operation.site or operation.name)
            if operation.source is not None:
                self._lines.setdefault(key, operation.source)
            else:
                operation.source = self._lines.get(key)

    def _read_nodes(self, graph: Graph) -> Iterator[Reading]:
        uses: dict[str, int] = {}
        for index in graph.data():
            operation = graph.operations[index]
            uses[operation.site] = uses.get(operation.site, 0) + 1
            if operation.site and uses[operation.site] > _MOST_USES:
                continue
            view = NodeView(operation.node, operation.name, operation.site, self.readable(operation), operation.spatial)
            for probe in self._node_probes:
                yield from probe.read(view)

    def after_backward(self, scale: float) -> None:
        """Take the hooks off and bring what they measured together."""
        if self._outside and self._ledger is None:
            self._look_from_outside(scale)
        if self._measurement is None or self._builder is not None:
            return
        self._measurement.disarm()
        self.calls.disarm()
        self.hooked = self._measurement.hooked
        self._measurement.settle()
        values = resolve([reading.value for reading in self._readings])
        readings = zip(self._readings, values, strict=True)
        self._readings = [Reading(reading.statistic, reading.subject, value) for reading, value in readings]
        slopes = {r.subject: float(r.value) for r in self._readings if r.statistic is Statistic.DERIVATIVE_RMS}
        self._builder = PathBuilder(self._measurement, self._registry, slopes)
        for call in self.calls.recurrent:
            if self._is_fused(call.module):
                profile = time_profile(call, self._registry, 0, scale)
                self._profiles += [profile] if profile is not None else []
        self._profiles += self._builder.time_profiles(scale)
        # Now, since the weights are about to change; which step this is will be known when the optimizer steps.
        self._ledger = self._builder.ledger(scale)
        if is_hidden(self._measurement.graph):
            self._look_from_outside(scale)
        self.calls.clear()

    def _look_from_outside(self, scale: float) -> None:
        """Measure by gradients of biases what the graph does not show, or is too large to show."""
        layers, lines = hidden_layers(self._registry), self._registry.lines()
        self._ledger = coarse_ledger(layers, scale)
        for depth, layer in enumerate(layers):
            site = SiteInfo(layer.name, layer.name, "", lines.get(layer.name))
            self.layers[layer.name] = (depth, site)
            self._readings.append(Reading(Statistic.GRAD_OUTPUT_NORM, layer.name, layer.size / scale))
            self._readings.append(Reading(Statistic.DEPTH, layer.name, float(depth)))

    def _is_fused(self, module: torch.nn.Module) -> bool:
        """Return whether a recurrent module ran as one kernel, so that the graph does not show its time steps."""
        assert self._measurement is not None
        names = {op.name for op in self._measurement.graph.operations if op.module_id == id(module)}
        names |= {
            op.name for op in self._measurement.graph.operations if op.module == self._registry.name_of_module(module)
        }
        return any(name in ("MkldnnRnnLayer", "CudnnRnn", "MiopenRnn") for name in names)

    def before_step(self, view: StepView) -> None:
        """Read parameters when gradients are ready."""
        self._view = view
        with torch.no_grad():
            for probe in self._step_probes:
                self._readings += list(probe.before(view))

    def after_step(self, step: int, scale: float, optimizer: int) -> None:
        """Read parameters after the optimizer's step, record everything and let go."""
        if self._view is not None:
            with torch.no_grad():
                for probe in self._step_probes:
                    self._readings += list(probe.after(self._view))
        self._store.add_profiles([replace(profile, step=step) for profile in self._profiles])
        if self._ledger is not None:
            self._store.add_ledger(replace(self._ledger, step=step, optimizer=optimizer))
        self._record_graph(step, scale)
        values = resolve([reading.value for reading in self._readings])
        for reading, value in zip(self._readings, values, strict=True):
            if value == value or reading.statistic is Statistic.UPDATE_RATIO:
                self._store.add(step, reading.statistic, reading.subject, value)
        self.disarm()

    def _record_graph(self, step: int, scale: float) -> None:
        """Record the gradient at every layer, and the activations."""
        if self._measurement is None or self._builder is None:
            return
        measured, graph = self._measurement, self._measurement.graph
        depths = self._builder.depths()
        squares: dict[str, float] = {}
        entries: dict[str, int] = {}
        for index in graph.layers():
            operation = graph.operations[index]
            self._know_layer(operation, depths[index], measured.dtypes.get(index, ""))
            if index in measured.sizes:
                size = measured.sizes[index] / scale
                squares[operation.site] = squares.get(operation.site, 0.0) + size * size
                entries[operation.site] = entries.get(operation.site, 0) + measured.entries.get(index, 0)
        for site, square in squares.items():
            self._store.add(step, Statistic.GRAD_OUTPUT_NORM, site, square**0.5)
            self._store.add(step, Statistic.GRAD_OUTPUT_RMS, site, (square / max(entries[site], 1)) ** 0.5)
            self._store.add(step, Statistic.DEPTH, site, float(self.layers[site][0]))
        for index in graph.data():
            operation = graph.operations[index]
            if operation.site and not operation.is_layer:
                known = SiteInfo(operation.site, operation.module, operation.name, operation.source)
                self.activations.setdefault(operation.site, known)
        self._note_non_finite(step)
        if self._squashed is not None:
            first, second = self._squashed
            details = {"operation": first.name, "loss": second, "module": first.module, "site": first.site}
            self._store.note(EventKind.SQUASHED_TWICE, step, details=details, source=first.source)

    def _know_layer(self, operation: Operation, depth: int, dtype: str) -> None:
        seen = self.layers.get(operation.site)
        names = self._registry.parameter_names
        parameters = tuple(names[id(weight)] for weight in operation.weights if id(weight) in names)
        uses = seen[1].uses if seen is not None else 1
        info = SiteInfo(operation.site, operation.module, operation.name, operation.source, parameters, uses, dtype)
        self.layers[operation.site] = (min(depth, seen[0]) if seen is not None else depth, info)

    def _note_non_finite(self, step: int) -> None:
        """Record the first operation of the backward pass that got finite gradient and sent on a non-finite one."""
        assert self._measurement is not None
        # After a non-finite loss every gradient is; where that came from is looked for in the forward pass.
        found = self._measurement.first_non_finite() if self.loss_is_finite else None
        if found is None:
            return
        details = {
            "phase": "backward",
            "operation": found.name,
            "module": found.module,
            "quantity": "gradient",
            "certainty": "certain",
        }
        self._store.note(EventKind.NON_FINITE, step, key="backward", details=details, source=found.source)

    def layer_infos(self) -> tuple[SiteInfo, ...]:
        """Return the layer sites, nearest the data first."""
        return tuple(info for _, info in sorted(self.layers.values(), key=lambda pair: pair[0]))
