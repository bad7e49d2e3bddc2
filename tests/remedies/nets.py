"""Small traces and findings by hand, for tests of what a remedy proposes and when it holds its tongue."""

from __future__ import annotations

from dataclasses import replace

from evengrad.core.finding import Cause, CauseKind, Finding, Severity
from evengrad.core.info import ModuleInfo, ParamInfo, SiteInfo, SourceLine
from evengrad.core.plan import Change
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._catalogue import catalogue_remedies
from tests.builders import TraceBuilder

K = CauseKind


def net(operation: str = "Relu", depth: int = 6, optimizer: str = "SGD", **group: float) -> TraceBuilder:
    """Return a plain net under an optimizer, with a ledger, weights of PyTorch's scale and ordinary gradient norms."""
    builder = TraceBuilder(steps=100).mlp(depth, operation) if operation else plain_layers(depth)
    return (
        builder.optimizer(optimizer, **{"lr": 0.1, **group})
        .per_layer(Statistic.WEIGHT_RMS, first=0.072, last=0.072)
        .series(Statistic.GRAD_NORM, "", lambda step: 1.0 + step % 5)
        .ledger(weight=-3.0, activation=-1.0)
    )


def plain_layers(depth: int) -> TraceBuilder:
    return TraceBuilder(steps=100).layers(*(f"net.{index}" for index in range(depth)))


def says(rule: str, cause: CauseKind | None, key: str = "", **fields: object) -> Finding:
    """Return a finding with a cause; ``key`` is that of the cause's sentence, without the rule."""
    reason = None if cause is None else Cause(cause, 1.0, "", key=f"{rule}.{key}" if key else "")
    made = Finding(rule=rule, severity=Severity.ERROR, message="", cause=reason)
    return replace(made, **fields)  # type: ignore[arg-type]


def proposed(remedy: str, trace: Trace | TraceBuilder, finding: Finding) -> tuple[Change, ...]:
    """Return what a remedy proposes for a finding."""
    built = trace.build() if isinstance(trace, TraceBuilder) else trace
    return catalogue_remedies()[remedy].propose(finding, built)


def recurrent(kind: str = "LSTM", length: int = 50, optimizer: str = "Adam") -> TraceBuilder:
    """Return a recurrent layer with a head, and its gradient over the time steps."""
    names = ("rnn.weight_ih_l0", "rnn.weight_hh_l0")
    held = tuple(ParamInfo(name, (32, 32), "float32", optimizer=0, group=0, module="rnn") for name in names)
    builder = TraceBuilder(steps=100).layers("head").optimizer(optimizer, lr=1e-3)
    trace = builder.trace
    return builder.change(
        modules=(*trace.modules, ModuleInfo("rnn", kind)),
        parameters=(*held, *trace.parameters),
        activations=(SiteInfo("rnn", "rnn", "Tanh"),),
    ).time_profile("rnn", [1.0] * length)


def with_format(builder: TraceBuilder, dtype: str) -> TraceBuilder:
    """Return the same net with its parameters in another number format."""
    return builder.change(parameters=tuple(replace(info, dtype=dtype) for info in builder.trace.parameters))


def with_module(builder: TraceBuilder, name: str, kind: str) -> TraceBuilder:
    """Return the same net with one more module."""
    return builder.change(modules=(*builder.trace.modules, ModuleInfo(name, kind)))


def line(text: str) -> SourceLine:
    return SourceLine("train.py", 30, text)
