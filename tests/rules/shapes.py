"""Traces by hand that the rules' tests share: healthy runs that look alarming, and factors that must not matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evengrad.core.finding import Finding
from evengrad.core.info import ParamInfo
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series, Trace
from tests.builders import TraceBuilder, healthy_mlp

LATE = (64, 128, 200)
GRADIENTS = (Statistic.GRAD_NORM, Statistic.GRAD_RMS, Statistic.GRAD_OUTPUT_NORM, Statistic.GRAD_OUTPUT_RMS)


def falling(begin: float = 2.3, end: float = 0.1, steps: int = 300) -> Callable[[int], float]:
    """Return a loss that falls geometrically, with a little noise."""
    return lambda step: begin * (end / begin) ** (step / steps) * (1 + 0.02 * math.sin(7.1 * step))


def stuck(level: float = 2.303, noise: float = 0.01) -> Callable[[int], float]:
    """Return a loss that goes nowhere."""
    return lambda step: level * (1 + noise * math.sin(7.1 * step) * math.cos(3.3 * step))


def mlp(depth: int = 10, operation: str = "Relu", optimizer: str = "SGD", steps: int = 300) -> TraceBuilder:
    """Return a builder with layers, even gradients and sound updates; the test adds what is wrong."""
    return (
        TraceBuilder(steps=steps)
        .mlp(depth, operation)
        .optimizer(optimizer, lr=0.01)
        .series(Statistic.GRAD_NORM, "", lambda step: 1.0 + 0.1 * math.sin(step))
        .per_layer(Statistic.GRAD_RMS, first=1e-3, last=1e-3)
        .per_layer(Statistic.WEIGHT_RMS, first=0.1, last=0.1)
        .per_layer(Statistic.UPDATE_RATIO, first=1e-3, last=1e-3)
        .per_layer(Statistic.INPUT_RMS, first=1.0, last=0.9)
        .per_layer(Statistic.DISTINGUISHABILITY, first=0.9, last=0.5)
    )


def classifier(builder: TraceBuilder, loss: Callable[[int], float], classes: int = 10) -> TraceBuilder:
    """Add the series of a classification whose first prediction is a guess."""
    builder.series(Statistic.LOSS, "", loss).series(Statistic.CLASSES, "", classes, steps=[0])
    return builder.series(Statistic.OUTPUT_RMS, "", math.log(classes) * 1.05, steps=[0])


def regression(builder: TraceBuilder, loss: Callable[[int], float]) -> TraceBuilder:
    """Add the series of a regression on a target of unit variance."""
    builder.series(Statistic.LOSS, "", loss).series(Statistic.OUTPUT_RMS, "", 0.1, steps=[0, 1, 64])
    builder.series(Statistic.OUTPUT_SPREAD, "", 0.4, steps=[0, 1, 64])
    return builder.series(Statistic.TARGET_RMS, "", 1.0, steps=[0]).series(Statistic.TARGET_SPREAD, "", 1.0, steps=[0])


def chain(
    steps: tuple[int, ...], builder: TraceBuilder, *, activation: float, weight: float, scale: float | None = None
) -> TraceBuilder:
    """Add the same ledger at several steps."""
    for step in steps:
        builder.ledger(step, activation=activation, weight=weight)
    if scale is not None:
        builder.change(ledgers=tuple(_scaled(ledger, scale) for ledger in builder.trace.ledgers))
    return builder


def _scaled(ledger: Ledger, scale: float) -> Ledger:
    entries = tuple(replace(e, scale=scale if e.kind is EntryKind.WEIGHT else e.scale) for e in ledger.entries)
    return replace(ledger, entries=entries)


def blocked(builder: TraceBuilder, step: int, *, module: str, operation: str = "Relu") -> TraceBuilder:
    """Add a ledger whose gradient is exactly zero from one operation on."""
    builder.ledger(step)
    made = builder.trace.ledgers[-1]
    names = [(entry.module, entry.operation) for entry in made.entries]
    at = names.index((module, operation))
    entries = tuple(
        replace(entry, decades=-math.inf if index == at else (math.nan if index > at else 0.0))
        for index, entry in enumerate(made.entries)
    )
    ledgers = (*builder.trace.ledgers[:-1], replace(made, entries=entries, attenuation=-math.inf))
    return builder.change(ledgers=ledgers)


def recurrent(
    builder: TraceBuilder, decades: float, length: int = 60, steps: tuple[int, ...] = (0, 1, 64)
) -> TraceBuilder:
    """Add the profile of a recurrent layer whose gradient changes geometrically towards the first time step."""
    norms = [10 ** (decades * (1 - t / (length - 1))) for t in range(length)]
    for step in steps:
        builder.time_profile("rnn", norms, step=step)
    return builder


def with_parameters(builder: TraceBuilder, *infos: ParamInfo) -> TraceBuilder:
    """Add parameters to a trace."""
    return builder.change(parameters=(*builder.trace.parameters, *infos))


def deep_relu_adam_trains() -> Trace:
    """A = -4.8 at first, recovers by alignment, and trains: theory page, Adam with 12 default-initialised layers."""
    builder = mlp(12, optimizer="Adam").per_layer(Statistic.EPS_SHARE, first=0.4, last=1e-6, steps=[0, 1])
    builder = chain((0, 1, 2), builder, activation=-1.7, weight=-3.1)
    return classifier(chain(LATE, builder, activation=-1.7, weight=2.1), falling()).build()


def deep_relu_adam_keeps_low_gradients() -> Trace:
    """A stays at -4.8, the run trains all the same."""
    builder = mlp(12, optimizer="Adam").per_layer(Statistic.EPS_SHARE, first=0.01, last=1e-6)
    return classifier(chain((0, 1, *LATE), builder, activation=-1.7, weight=-3.1), falling()).build()


def zero_head() -> Trace:
    """A zero-initialised head lets nothing through at step 0, and recovers at step 1."""
    builder = blocked(mlp(4), 0, module="net.6", operation="Addmm")
    builder.series(Statistic.GRAD_RMS, "net.0.weight", lambda step: 0.0 if step == 0 else 1e-3)
    builder.series(Statistic.WEIGHT_RMS, "net.6.weight", lambda step: 1e-3 * step)
    return classifier(chain((1, *LATE), builder, activation=-0.4, weight=-0.9), falling()).build()


def adapter() -> Trace:
    """LoRA: the base is frozen, B is zero, A gets no gradient at step 0."""
    builder = classifier(mlp(3, optimizer="AdamW"), falling())
    frozen = tuple(replace(info, requires_grad=False, optimizer=-1) for info in builder.trace.parameters)
    builder.change(parameters=frozen)
    pair = (
        ParamInfo("lora.A", (4, 64), "float32", True, 0, 0, "lora"),
        ParamInfo("lora.B", (64, 4), "float32", True, 0, 0, "lora"),
    )
    with_parameters(builder, *pair)
    builder.series(Statistic.GRAD_RMS, "lora.A", lambda step: 0.0 if step == 0 else 1e-3)
    builder.series(Statistic.GRAD_RMS, "lora.B", 1e-3)
    builder.series(Statistic.WEIGHT_RMS, "lora.A", 0.1).series(Statistic.WEIGHT_RMS, "lora.B", lambda step: 1e-3 * step)
    return chain((1, 64), blocked(builder, 0, module="net.4", operation="Addmm"), activation=-0.3, weight=-0.2).build()


def frozen_backbone() -> Trace:
    """The backbone does not require gradients; the head trains."""
    builder = classifier(mlp(4), falling())
    kept = [replace(info, requires_grad=not info.name.startswith("net.0")) for info in builder.trace.parameters]
    builder.change(parameters=tuple(kept)).series(Statistic.GRAD_MISSING, "net.0.weight", 1.0)
    return builder.series(Statistic.GRAD_MISSING, "net.0.bias", 1.0).build()


def large_norm() -> Trace:
    """A global norm of 300, because there are many parameters and the loss is a sum."""
    builder = mlp(6).series(Statistic.GRAD_NORM, "", lambda step: 300.0 + 20 * math.sin(step))
    return classifier(chain((0, 1, *LATE), builder, activation=-0.75, weight=0.9), falling(2300, 90)).build()


def clipped_spikes() -> Trace:
    """One step in forty has a hundredfold gradient and a bad loss; clipping deals with it."""
    builder = mlp(4).series(Statistic.GRAD_NORM, "", lambda step: 100.0 if step % 40 == 39 else 1.0)
    loss = falling(2.3, 0.4)
    return classifier(builder, lambda step: loss(step) * (4 if step % 40 == 39 else 1)).build()


def warm_up() -> Trace:
    """Forty steps of a long warm-up: the rate still rises, and nothing has moved yet."""
    builder = mlp(4, steps=40).per_layer(Statistic.UPDATE_RATIO, first=1e-7, last=1e-7)
    builder.series(Statistic.LEARNING_RATE, "0/0", lambda step: 1e-7 * (step + 1))
    return classifier(builder, stuck()).build()


def label_noise_plateau() -> Trace:
    """Six labels of ten are wrong: the loss stops at 1.95 of 2.30."""
    return classifier(
        chain((0, 1, *LATE), mlp(3), activation=-0.3, weight=-0.5), lambda s: 1.95 + 0.35 * 0.97**s
    ).build()


def random_targets() -> Trace:
    """The founding text's program: targets are noise, the loss stays at 1."""
    builder = chain((0, 1, 2, 4, 8, 16), mlp(3, steps=100), activation=-0.3, weight=-0.6)
    builder.per_layer(Statistic.UPDATE_RATIO, first=1e-5, last=1e-3)
    return regression(builder, stuck(1.0, 0.15)).build()


def gan() -> Trace:
    """Two optimizers take turns; the loss goes up and down and tells nothing."""
    builder = mlp(6, "LeakyRelu", "Adam").optimizer("Adam", lr=1e-3)
    builder.series(Statistic.LOSS, "", lambda step: 0.7 + 0.3 * math.sin(step / 9) + 0.1 * math.sin(7.1 * step))
    chain((0, 1, *LATE), builder, activation=-0.9, weight=-1.1)
    return builder.change(
        ledgers=tuple(replace(x, optimizer=i % 2) for i, x in enumerate(builder.trace.ledgers))
    ).build()


def converged() -> Trace:
    """The loss is 1e-9 and jumps by a decade now and then; gradients are as small."""
    builder = mlp(3, optimizer="Adam").series(
        Statistic.GRAD_NORM, "", lambda s: 1e-8 * (1 + 50 * (s % 97 == 96)) + 0.5**s
    )
    builder.per_layer(Statistic.EPS_SHARE, first=0.7, last=0.6, steps=[64, 128, 256])
    return classifier(builder, lambda step: 2.3 * 0.9**step + 1e-9 * (1 + 9 * (step % 50 == 49))).build()


def policy_gradient() -> Trace:
    """A loss that is negative, noisy, and no measure of anything."""
    builder = chain((0, 1, *LATE), mlp(3, "Tanh", "Adam"), activation=-0.1, weight=-0.5)
    return builder.series(Statistic.LOSS, "", lambda s: -0.05 + 0.2 * math.sin(7.1 * s) * math.cos(3.3 * s)).build()


def sparse_rectifiers() -> Trace:
    """Half of all ReLU entries are off, a third of the units on this batch: ordinary sparsity."""
    builder = classifier(mlp(5), falling()).per_activation(Statistic.SATURATED, 0.55)
    return builder.per_activation(Statistic.DEAD, 0.35).per_activation(Statistic.DEAD_SAMPLES, 4096.0).build()


def saturated_first_layer_trains() -> Trace:
    """The first tanh layer is 98 % saturated by raw inputs, and the net trains."""
    builder = classifier(mlp(3, "Tanh", "Adam"), falling(2.3, 0.02))
    builder.series(Statistic.SATURATED, "net.1", 0.98).series(Statistic.DERIVATIVE_RMS, "net.1", 0.08)
    builder.series(Statistic.INPUT_RMS, "net.0", 40.0)
    return chain((0, 1, *LATE), builder, activation=-1.2, weight=0.1).build()


def fine_tuning() -> Trace:
    """Steps of a millionth, from weights that have learned already."""
    builder = mlp(4, optimizer="AdamW", steps=60).per_layer(Statistic.UPDATE_RATIO, first=3e-6, last=9e-6)
    builder.series(Statistic.LOSS, "", lambda step: 0.2 * (1 - 0.001 * step)).series(
        Statistic.CLASSES, "", 10.0, steps=[0]
    )
    return builder.series(Statistic.OUTPUT_RMS, "", 8.0, steps=[0]).build()


def schedule_tail() -> Trace:
    """A cosine schedule ends at nothing; the run is over."""
    builder = mlp(4).series(Statistic.LEARNING_RATE, "0/0", lambda s: 0.05 * (1 + math.cos(math.pi * s / 300)))
    builder.per_layer(Statistic.UPDATE_RATIO, first=1e-9, last=1e-9, steps=[290, 299])
    return classifier(builder, lambda step: 1.9 + 0.4 * 0.9**step).build()


def many_to_many() -> Trace:
    """A loss at every time step feeds every step afresh: the profile is flat."""
    return regression(recurrent(mlp(2, "Tanh", "Adam"), 0.1), stuck(1.0, 0.1)).build()


def short_memory() -> Trace:
    """The gradient fades over sixty steps, but the last few are all the task needs."""
    return classifier(recurrent(mlp(2, "Tanh", "Adam"), -10.0), falling()).build()


def clipped_recurrence() -> Trace:
    """The gradient explodes over time, clipping tames it, the net learns."""
    builder = recurrent(mlp(2, "Relu"), 9.0).series(Statistic.GRAD_NORM, "", lambda s: 1e8 * (1.5 + math.sin(s)))
    return classifier(builder, falling()).build()


def unused_head() -> Trace:
    """A head that this task does not use gets no gradient."""
    builder = classifier(mlp(4), falling())
    with_parameters(builder, ParamInfo("aux.weight", (100, 64), "float32", True, 0, 0, "aux"))
    return builder.series(Statistic.GRAD_MISSING, "aux.weight", 1.0, steps=[0]).build()


def batch_norm_features() -> Trace:
    """Behind batch normalisation all features have the same size, but for rounding and eps."""
    builder = classifier(mlp(4), stuck())
    for layer in ("net.2", "net.4", "net.6"):
        builder.series(Statistic.FEATURE_SPREAD, layer, 1.00002).series(Statistic.INPUT_RMS, layer, 0.99999)
    return builder.build()


def offset_target() -> Trace:
    """Years, 1998 with a spread of 11: the prediction is almost constant, as it should be."""
    builder = mlp(3, optimizer="Adam").series(Statistic.LOSS, "", stuck(150.0, 0.1))
    builder.series(Statistic.TARGET_RMS, "", 1998.0).series(Statistic.TARGET_SPREAD, "", 11.0)
    return builder.series(Statistic.OUTPUT_RMS, "", 1998.0).series(Statistic.OUTPUT_SPREAD, "", 0.0009).build()


SCARY: dict[str, Callable[[], Trace]] = {
    made.__name__: made
    for made in (
        deep_relu_adam_trains, deep_relu_adam_keeps_low_gradients, zero_head, adapter, frozen_backbone, large_norm,
        clipped_spikes, warm_up, label_noise_plateau, random_targets, gan, converged, policy_gradient,
        sparse_rectifiers, saturated_first_layer_trains, fine_tuning, schedule_tail, many_to_many, short_memory,
        clipped_recurrence, unused_head, batch_norm_features, offset_target, Trace, healthy_mlp,
    )
}  # fmt: skip


def multiply_gradients(trace: Trace, factor: float) -> Trace:
    """Return the trace as it would be with every gradient multiplied."""
    series = {key: _times(value, factor if key[0] in GRADIENTS else 1.0) for key, value in trace.series.items()}
    ledgers = tuple(replace(ledger, loss_norm=ledger.loss_norm * factor) for ledger in trace.ledgers)
    profiles = tuple(replace(p, norms=tuple(n * factor for n in p.norms)) for p in trace.time_profiles)
    return replace(trace, series=series, ledgers=ledgers, time_profiles=profiles)


def multiply_loss(trace: Trace, factor: float) -> Trace:
    """Return the trace as it would be with the loss multiplied."""
    series = {key: _times(value, factor if key[0] is Statistic.LOSS else 1.0) for key, value in trace.series.items()}
    return replace(trace, series=series)


def _times(series: Series, factor: float) -> Series:
    return Series(series.steps, np.asarray(series.values * factor, np.float64))


def verdicts(findings: tuple[Finding, ...]) -> list[object]:
    """Return what findings say, less the numbers that have a gradient's or a loss's unit."""
    return [
        (f.rule, f.severity, f.first_step, f.modules, f.parameters, f.cause.kind if f.cause else None, f.message_key)
        for f in findings
    ]


def entry(module: str, operation: str, kind: EntryKind, decades: float, uses: int = 1) -> LedgerEntry:
    """Return a ledger entry."""
    return LedgerEntry(module, operation, kind, decades, uses=uses)
