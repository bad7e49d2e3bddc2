"""Build traces, ledgers and findings by hand, in few lines, for tests of everything right of a ``Trace``.

Example:
    >>> trace = (
    ...     TraceBuilder(steps=300)
    ...     .layers("net.0", "net.2", "net.4")
    ...     .activations("net.1", "net.3", operation="Sigmoid")
    ...     .optimizer("SGD", lr=0.1)
    ...     .series(Statistic.LOSS, "", lambda step: 2.3)
    ...     .per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-8, last=1e-2)
    ...     .ledger(activation=-5.0, weight=-1.0)
    ...     .build()
    ... )
    >>> round(trace.ledgers[0].attenuation, 6)
    -6.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import Cause, CauseKind, Diagnosis, Evidence, Finding, Severity, Verdict
from evengrad.core.info import Environment, ModuleInfo, OptimizerInfo, Overhead, ParamInfo, SiteInfo, SourceLine
from evengrad.core.ledger import Branch, EntryKind, Ledger, LedgerEntry, TimeProfile
from evengrad.core.statistic import Scope, Statistic
from evengrad.core.trace import Series, Trace

Values = float | Sequence[float] | Callable[[int], float]

_DEEP = {Statistic.UPDATE_RATIO, Statistic.EPS_SHARE, Statistic.REALISED_FRACTION}


def probe_steps(steps: int) -> list[int]:
    """Return the steps on which an unhurried controller would probe: 0, 1, 2, 4, 8, … below ``steps``."""
    picked = [0, *(2**k for k in range(steps.bit_length()))]
    return [step for step in picked if step < steps]


def series(values: Values, steps: Sequence[int]) -> Series:
    """Return a series: a constant, one value per step, or a function of the step."""
    if callable(values):
        points = [values(step) for step in steps]
    elif isinstance(values, int | float):
        points = [float(values)] * len(steps)
    else:
        points = [float(value) for value in values]
    if len(points) != len(steps):
        raise ValueError(f"{len(points)} values for {len(steps)} steps")
    return Series(np.asarray(steps, np.int64), np.asarray(points, np.float64))


class TraceBuilder:
    """Collects the parts of a trace; every method returns the builder, ``build`` the trace.

    Layer sites come with ``<layer>.weight`` and ``<layer>.bias`` (shape ``[width, width]`` and ``[width]``), held by
    the first optimizer. Series are laid on the steps where a run would measure them unless ``steps`` says otherwise.
    """

    def __init__(self, steps: int = 100, script: str = "train.py") -> None:
        self._series: dict[tuple[Statistic, str], Series] = {}
        self.trace = Trace(
            steps=steps,
            script=script,
            environment=Environment(torch="2.13.0", python="3.11.4", device="cpu"),
            overhead=Overhead(
                share=0.007, budget=0.01, seconds=0.07, run_seconds=10.0, light_steps=steps, deep_steps=9
            ),
            modules=(ModuleInfo("", "Net", SourceLine(script, 9, "model = Net()")),),
        )

    def build(self) -> Trace:
        """Return the trace."""
        return replace(self.trace, series={**self.trace.series, **self._series})

    def change(self, **fields: object) -> TraceBuilder:
        """Set fields of the trace (``completed=False``, ``environment=…``) as they are."""
        self.trace = replace(self.trace, **fields)  # type: ignore[arg-type]
        return self

    def layers(
        self, *names: str, operation: str = "Addmm", width: int = 64, line: int = 12, uses: int = 1
    ) -> TraceBuilder:
        """Add layer sites in forward order, with their modules and parameters."""
        sites, modules, parameters = list(self.trace.layers), list(self.trace.modules), list(self.trace.parameters)
        for offset, name in enumerate(names):
            source = SourceLine(self.trace.script, line + offset, f"nn.Linear({width}, {width}),")
            owned = (f"{name}.weight", f"{name}.bias")
            sites.append(SiteInfo(name, name, operation, source, owned, uses))
            modules.append(ModuleInfo(name, "Linear", source))
            for parameter, shape in zip(owned, ((width, width), (width,)), strict=True):
                parameters.append(ParamInfo(parameter, shape, "float32", optimizer=0, group=0, module=name))
        return self.change(layers=tuple(sites), modules=tuple(modules), parameters=tuple(parameters))

    def activations(self, *names: str, operation: str = "Relu", line: int = 40) -> TraceBuilder:
        """Add activation sites in forward order."""
        sites = [
            SiteInfo(name, name.partition(":")[0], operation, SourceLine(self.trace.script, line + offset))
            for offset, name in enumerate(names)
        ]
        return self.change(activations=(*self.trace.activations, *sites))

    def mlp(self, depth: int, operation: str = "Relu", width: int = 64) -> TraceBuilder:
        """Add ``depth`` layers ``net.0, net.2, …`` with an activation after each but the last."""
        self.layers(*(f"net.{2 * index}" for index in range(depth)), width=width)
        return self.activations(*(f"net.{2 * index + 1}" for index in range(depth - 1)), operation=operation)

    def optimizer(self, kind: str = "SGD", **group: float) -> TraceBuilder:
        """Add an optimizer with one group, and the series of its learning rate."""
        index = len(self.trace.optimizers)
        info = OptimizerInfo(index, kind, (dict(group),), SourceLine(self.trace.script, 5, f"optim.{kind}(…)"))
        self.change(optimizers=(*self.trace.optimizers, info))
        if "lr" in group:
            self.series(Statistic.LEARNING_RATE, f"{index}/0", group["lr"], steps=[0])
        return self

    def series(
        self, statistic: Statistic, subject: str, values: Values, *, steps: Sequence[int] | None = None
    ) -> TraceBuilder:
        """Add a series; see :func:`series` for ``values``."""
        deep = statistic.scope in (Scope.MODULE, Scope.ACTIVATION) or statistic in _DEEP
        usual = probe_steps(self.trace.steps) if deep else range(self.trace.steps)
        self._series[statistic, subject] = series(values, list(usual if steps is None else steps))
        return self

    def per_layer(
        self, statistic: Statistic, *, first: float, last: float, steps: Sequence[int] | None = None
    ) -> TraceBuilder:
        """Add a series per layer (per weight, for statistics of parameters): geometric from ``first`` to ``last``."""
        sites = self.trace.layers
        subjects = [s.parameters[0] if statistic.scope is Scope.PARAMETER else s.name for s in sites]
        for subject, value in zip(subjects, np.geomspace(first, last, len(sites)), strict=True):
            self.series(statistic, subject, float(value), steps=steps)
        return self

    def per_activation(
        self, statistic: Statistic, values: Values, *, steps: Sequence[int] | None = None
    ) -> TraceBuilder:
        """Add the same series for every activation site."""
        for site in self.trace.activations:
            self.series(statistic, site.name, values, steps=steps)
        return self

    def ledger(
        self, step: int = 0, *, activation: float = 0.0, weight: float = 0.0, steps_in_time: int = 1, **fields: object
    ) -> TraceBuilder:
        """Add the ledger of a plain chain: decades spread evenly over the weights and over the activations.

        ``fields`` are further fields of the ledger (``branches``, ``attenuation`` where it is not the sum, …).
        """
        layers, activations = self.trace.layers, self.trace.activations
        weights = [
            LedgerEntry(s.module, s.operation, EntryKind.WEIGHT, weight / max(1, len(layers) - 1), source=s.source)
            for s in reversed(layers[1:])
        ]
        each = activation / max(1, len(activations))
        shares = [
            LedgerEntry(s.module, s.operation, EntryKind.ACTIVATION, each, each, source=s.source)
            for s in reversed(activations)
        ]
        entries = tuple(entry for pair in zip(weights, shares, strict=False) for entry in pair)
        entries += tuple(weights[len(shares) :]) + tuple(shares[len(weights) :])
        made = Ledger(
            step, layers[0].name, layers[-1].name, math.fsum(e.decades for e in entries), entries,
            loss_norm=1e-2, layers=len(layers), steps_in_time=steps_in_time, optimizer=0,
        )  # fmt: skip
        made = replace(made, **fields)  # type: ignore[arg-type]
        return self.change(ledgers=(*self.trace.ledgers, made))

    def time_profile(self, module: str, norms: Sequence[float], *, step: int = 0, axis: str = "hidden") -> TraceBuilder:
        """Add the gradient by time step of a recurrent layer."""
        profile = TimeProfile(step, module, axis, tuple(norms))
        return self.change(time_profiles=(*self.trace.time_profiles, profile))

    def event(
        self, kind: EventKind, step: int = 0, *, count: int = 1, last_step: int = -1, line: int = 0, **details: str
    ) -> TraceBuilder:
        """Add an event; ``line`` gives it a source line in the script."""
        source = SourceLine(self.trace.script, line) if line else None
        made = Event(kind, step, count, last_step if last_step >= 0 else step, dict(details), source)
        return self.change(events=(*self.trace.events, made))


def deep_sigmoid(depth: int = 10, steps: int = 300, per_layer: float = -0.6, optimizer: str = "SGD") -> Trace:
    """Return the trace of a deep sigmoid classifier that does not learn: the gradient falls at every layer."""
    activation, weight = 0.9 * per_layer * (depth - 1), 0.1 * per_layer * (depth - 1)
    last = 1e-2
    first = last * 10 ** (activation + weight)
    return (
        TraceBuilder(steps=steps, script="digits_sigmoid.py")
        .mlp(depth, "Sigmoid")
        .optimizer(optimizer, lr=0.1)
        .series(Statistic.LOSS, "", lambda step: 2.303 - 1e-5 * step)
        .series(Statistic.GRAD_NORM, "", 0.04)
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=first, last=last)
        .per_layer(Statistic.GRAD_OUTPUT_RMS, first=first / 60, last=last / 60)
        .per_layer(Statistic.GRAD_RMS, first=first / 10, last=last / 10)
        .per_layer(Statistic.WEIGHT_RMS, first=0.07, last=0.07)
        .per_layer(Statistic.UPDATE_RATIO, first=first * 10, last=last * 10)
        .per_layer(Statistic.DISTINGUISHABILITY, first=0.5, last=1e-5)
        .per_activation(Statistic.SATURATED, 0.02)
        .per_activation(Statistic.DERIVATIVE_RMS, 0.24)
        .ledger(0, activation=activation, weight=weight)
        .ledger(max(probe_steps(steps)), activation=activation, weight=weight)
        .build()
    )


def healthy_mlp(depth: int = 4, steps: int = 100, optimizer: str = "SGD") -> Trace:
    """Return the trace of a shallow ReLU net that learns: even gradients, falling loss, sound updates."""
    return (
        TraceBuilder(steps=steps)
        .mlp(depth)
        .optimizer(optimizer, lr=0.01)
        .series(Statistic.LOSS, "", lambda step: 2.3 * 0.98**step)
        .series(Statistic.GRAD_NORM, "", lambda step: 1.0 / (1 + 0.05 * step))
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=3e-2, last=5e-2)
        .per_layer(Statistic.GRAD_OUTPUT_RMS, first=3e-4, last=5e-4)
        .per_layer(Statistic.GRAD_RMS, first=2e-3, last=3e-3)
        .per_layer(Statistic.WEIGHT_RMS, first=0.15, last=0.15)
        .per_layer(Statistic.UPDATE_RATIO, first=1e-3, last=2e-3)
        .per_layer(Statistic.INPUT_RMS, first=1.0, last=0.9)
        .per_layer(Statistic.DISTINGUISHABILITY, first=0.8, last=0.6)
        .per_activation(Statistic.DEAD, 0.01)
        .per_activation(Statistic.DEAD_SAMPLES, 4000.0)
        .per_activation(Statistic.SATURATED, 0.5)
        .ledger(0, activation=-0.45, weight=0.23)
        .build()
    )


def finding(rule: str = "vanishing-gradient", severity: Severity = Severity.ERROR, **fields: object) -> Finding:
    """Return a finding with evidence and cause; ``fields`` replace any of its fields."""
    made = Finding(
        rule=rule,
        severity=severity,
        message="The gradient falls by 5.4 decades from `net.18` to `net.0`.",
        first_step=0,
        last_step=299,
        modules=("net.0", "net.2"),
        parameters=("net.0.weight",),
        source=(SourceLine("digits_sigmoid.py", 12, "nn.Linear(64, 64),"),),
        evidence=(Evidence("attenuation across depth", -5.4, -4.0, "decades", "net.0"),),
        cause=Cause(CauseKind.ACTIVATION_DERIVATIVE, 0.9, "Sigmoid derivatives took 4.9 of the 5.4 decades."),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def diagnosis(trace: Trace, *findings: Finding, failed_rules: tuple[str, ...] = ()) -> Diagnosis:
    """Return a diagnosis with the verdict that the findings and the steps of the trace imply."""
    bad = any(f.severity is not Severity.INFO for f in findings)
    verdict = Verdict.UNKNOWN if trace.steps == 0 else Verdict.SICK if bad else Verdict.HEALTHY
    return Diagnosis(verdict, trace, findings, failed_rules)


def branch(module: str, **shares: float) -> Branch:
    """Return a merge whose consumers have the given shares."""
    return Branch(module, tuple(shares), tuple(shares.values()))


def sources(mapping: Mapping[str, int]) -> tuple[SourceLine, ...]:
    """Return source lines from ``{file: line}``."""
    return tuple(SourceLine(file, line) for file, line in mapping.items())
