"""Does the optimizer in use feel a lost gradient? Attenuation alone is not a fault."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from evengrad.core.finding import Evidence
from evengrad.core.ledger import Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.rules._depth import parameters
from evengrad.rules._late import late, late_median


class Effect(Enum):
    """What a lost gradient does; the value is the key of the sentence that says so."""

    ZERO = "zero"  # no update at all
    STARVED = "starved"  # the first layer's updates are dwarfed by the last one's
    TINY = "tiny"  # the layers' updates are too small to move anything
    EPSILON = "epsilon"  # an adaptive optimizer divides by its epsilon, not by the gradient
    INDISTINCT = "indistinct"  # all samples look the same before the last layer: no gradient can help
    FADED = "faded"  # the signal itself has died on the way forward


@dataclass(frozen=True)
class Consequence:
    """An effect that was measured, and the measurement."""

    effect: Effect
    evidence: Evidence


@dataclass(frozen=True)
class Limits:
    """When an optimizer feels it.

    Attributes:
        starved: Update of the first layer over that of the last, each relative to its weights, "1". Theory page,
            criteria: 1e-3.
        tiny: Update ratio of a step of a linear optimizer, "1". Theory page: trained nets 1.3e-6 and up, vanishing ones
            1.6e-8 and down.
        epsilon: Share of eps in an adaptive optimizer's denominator, worst tensor, "1". Theory page: trained nets up to
            .27, failing ones .72 and up.
        indistinct: Between-sample variance over second moment before the last layer, "1". Theory page: 1e-8.
        faded: rms of the last layer's input over that of the first hidden layer's, "1". Theory page: second moments six
            decades apart.
    """

    starved: float = 1e-3
    tiny: float = 1e-7
    epsilon: float = 0.5
    indistinct: float = 1e-8
    faded: float = 1e-3


def consequence(trace: Trace, ledger: Ledger, layers: Iterable[str], limits: Limits) -> Consequence | None:
    """Return how the optimizer feels that ``layers`` on the path of ``ledger`` get little gradient, or None.

    A measurement that is missing is no consequence.
    """
    held = parameters(trace, layers)
    optimizer = trace.optimizers[ledger.optimizer] if 0 <= ledger.optimizer < len(trace.optimizers) else None
    if (nothing := _zero(trace, held)) is not None:
        return nothing
    felt = _felt_by_adaptive if optimizer is not None and optimizer.family == "adaptive" else _felt_by_linear
    return felt(trace, ledger, held, limits) or _signal_lost(trace, ledger, limits)


def _zero(trace: Trace, held: tuple[str, ...]) -> Consequence | None:
    """Return the effect of gradients that are exactly zero on every late step in at least half the weight tensors."""
    matrices = [name for name in held if len(_shape(trace, name)) >= 2]
    seen = {name: late(trace.get(Statistic.GRAD_RMS, name)).values for name in matrices}
    dead = [name for name, values in seen.items() if len(values) and not values.any()]
    if not dead or 2 * len(dead) < len(matrices):
        return None
    return Consequence(Effect.ZERO, Evidence("gradient of the weights", 0.0, 0.0, "loss/W", dead[0]))


def _felt_by_linear(trace: Trace, ledger: Ledger, held: tuple[str, ...], limits: Limits) -> Consequence | None:
    """Return the effect on an optimizer whose step scales with the gradient."""
    here = _median_of(trace, parameters(trace, (ledger.first,)))
    there = _median_of(trace, parameters(trace, (ledger.last,)))
    if here is not None and there is not None and there > 0 and here / there < limits.starved:
        quantity = "relative update of the first layer over that of the last"
        return Consequence(Effect.STARVED, Evidence(quantity, here / there, limits.starved, "1", ledger.first))
    decays = any(group.get("weight_decay", 0.0) > 0 for optimizer in trace.optimizers for group in optimizer.groups)
    measure = _step_size if decays else _update  # what weight decay adds to an update is not learning
    sizes = [size for name in held if _begins_alive(trace, name) and math.isfinite(size := measure(trace, name))]
    if sizes and (size := float(np.median(sizes))) < limits.tiny:
        return Consequence(Effect.TINY, Evidence("update ratio per step", size, limits.tiny, "1", held[0]))
    return None


def _felt_by_adaptive(trace: Trace, ledger: Ledger, held: tuple[str, ...], limits: Limits) -> Consequence | None:
    """Return the effect on an optimizer whose step does not scale with the gradient until it meets epsilon."""
    shares = {name: late_median(trace.get(Statistic.EPS_SHARE, name)) for name in held}
    known = {name: share for name, share in shares.items() if math.isfinite(share)}
    if not known:
        return None
    worst = max(known, key=lambda name: known[name])
    share = known[worst]
    if share <= limits.epsilon:
        return None
    quantity = "share of eps in the step's denominator"
    return Consequence(Effect.EPSILON, Evidence(quantity, share, limits.epsilon, "1", worst))


def _signal_lost(trace: Trace, ledger: Ledger, limits: Limits) -> Consequence | None:
    """Return the effect on the forward signal, which no optimizer can scale up again."""
    told_apart = late_median(trace.get(Statistic.DISTINGUISHABILITY, ledger.last))
    if told_apart < limits.indistinct:
        quantity = "variance between samples over second moment"
        return Consequence(Effect.INDISTINCT, Evidence(quantity, told_apart, limits.indistinct, "1", ledger.last))
    names = [site.name for site in trace.layers]
    if ledger.first not in names or ledger.last not in names:
        return None
    hidden = names[min(names.index(ledger.first) + 1, len(names) - 1)]
    begin, end = (late_median(trace.get(Statistic.INPUT_RMS, name)) for name in (hidden, ledger.last))
    if begin > 0 and end / begin < limits.faded:
        quantity = "size of the last layer's input relative to the first hidden layer's"
        return Consequence(Effect.FADED, Evidence(quantity, end / begin, limits.faded, "1", ledger.last))
    return None


def _median_of(trace: Trace, names: Iterable[str]) -> float | None:
    """Return the median over parameters of the late gradient step relative to the weight (up to a common factor)."""
    sizes = [size for name in names if _begins_alive(trace, name) and math.isfinite(size := _step_size(trace, name))]
    return float(np.median(sizes)) if sizes else None


def _step_size(trace: Trace, name: str) -> float:
    """Return lr * rms(gradient) / rms(weight), late in the run."""
    gradient = late_median(trace.get(Statistic.GRAD_RMS, name))
    weight = late_median(trace.get(Statistic.WEIGHT_RMS, name))
    return _rate(trace, name) * gradient / weight if weight > 0 else math.nan


def _update(trace: Trace, name: str) -> float:
    """Return the late update ratio."""
    return late_median(trace.get(Statistic.UPDATE_RATIO, name))


def _rate(trace: Trace, name: str) -> float:
    """Return the last learning rate of a parameter's group; 1 where it is unknown."""
    info = trace.parameter(name)
    rate = trace.get(Statistic.LEARNING_RATE, f"{info.optimizer}/{info.group}").last() if info else math.nan
    return rate if rate > 0 else 1.0


def _begins_alive(trace: Trace, name: str) -> bool:
    """Return whether a parameter was not initialised to zero (a zero branch moves by more than its own size)."""
    return trace.get(Statistic.WEIGHT_RMS, name).first() != 0.0


def _shape(trace: Trace, name: str) -> tuple[int, ...]:
    info = trace.parameter(name)
    return info.shape if info else ()
