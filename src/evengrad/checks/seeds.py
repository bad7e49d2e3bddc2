"""The passes of a check, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from evengrad.checks.feeding import Feed
from evengrad.checks.listening import listening
from evengrad.checks.neutral import same_randomness, sow, training_mode, unchanged
from evengrad.checks.optimizers import OptimizerChoice, choice_of
from evengrad.checks.probe import Probe, Prober
from evengrad.checks.subject import Subject, build
from evengrad.checks.synthetic import fitting, plan_of
from evengrad.observation.deep import SavedTensorHooks
from evengrad.observation.registry import Registry, unwrapped

_GATE = 0.1  # what zero gates and gains are moved to; own choice: small beside the skip connection that they join


@dataclass(frozen=True, eq=False)
class Order:
    """What is to be checked: a model or a function that builds one, its feed, and how often."""

    given: nn.Module | Callable[..., object]
    feed: Feed
    optimizer: OptimizerChoice
    seeds: int
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Passes:
    """What the seeds showed; ``redrawn``: each drew weights of its own."""

    probes: tuple[Probe, ...]
    optimizer: OptimizerChoice
    redrawn: bool
    parameters: int
    name: str


def run_seeds(order: Order) -> Passes:
    """Measure a pass per seed.

    Returns:
        What each seed showed.

    Raises:
        UsageError: Model, batch and loss do not fit together.
        WatchError: The graph is too large.
    """
    with same_randomness():
        if isinstance(order.given, nn.Module):
            return _given(order, unwrapped(order.given))
        return _built(order, order.given)


def _given(order: Order, model: nn.Module) -> Passes:
    """Look at a live model, and leave it as it was. Weights and batch are what they are; made-up input is redrawn."""
    registry, hooks = Registry(), SavedTensorHooks()
    made_up = order.feed.batch is None
    probes = []
    with listening(registry, hooks), unchanged(model), training_mode(model):
        prober = Prober(model, registry, hooks, order.optimizer)
        sow(0)
        feed = _completed(order, model)
        for seed in range(order.seeds if made_up or _is_random(model) else 1):
            sow(seed)
            probes.append(_look(prober, model, feed, seed))
    count = sum(parameter.numel() for parameter in model.parameters())
    return Passes(tuple(probes), order.optimizer, False, count, type(model).__name__)


def _built(order: Order, function: Callable[..., object]) -> Passes:
    """Build a model per seed, one after the other: never two at a time."""
    probes: list[Probe] = []
    feed: Feed | None = None
    optimizer, count, name = order.optimizer, 0, ""
    for seed in range(order.seeds):
        registry, hooks = Registry(), SavedTensorHooks()
        with listening(registry, hooks):
            sow(seed)
            subject = build(function)
            if subject.optimizer is not None and not order.optimizer.named:
                optimizer = choice_of(subject.optimizer)
            with training_mode(subject.model):
                feed = _completed(_with(order, subject), subject.model) if feed is None else _renewed(feed, subject)
                prober = Prober(subject.model, registry, hooks, optimizer)
                probes.append(_look(prober, subject.model, feed, seed))
            count, name = sum(p.numel() for p in subject.model.parameters()), type(subject.model).__name__
        del subject, prober
    return Passes(tuple(probes), optimizer, _differ(probes), count, name)


def _with(order: Order, subject: Subject) -> Order:
    """Return an order with what the build function brought along, where the user has not said otherwise."""
    feed = order.feed
    batch = feed.batch if feed.batch is not None or order.shape else subject.batch
    return replace(order, feed=replace(feed, batch=batch, loss=feed.loss or subject.loss_fn))


def _renewed(feed: Feed, subject: Subject) -> Feed:
    """Return the feed for a later seed: a loss that holds the model must be that of the new one."""
    return replace(feed, loss=subject.loss_fn) if subject.loss_fn is not None and callable(feed.loss) else feed


def _completed(order: Order, model: nn.Module) -> Feed:
    """Return the feed with a plan for what has to be made up."""
    if order.feed.batch is not None:
        return order.feed
    plan = plan_of(model, order.shape) if order.shape else fitting(model)
    return replace(order.feed, plan=plan)


def _is_random(model: nn.Module) -> bool:
    """Return whether a pass draws random numbers, so that a second one tells more than the first."""
    return any("dropout" in type(module).__name__.lower() and module.training for module in model.modules())


def _differ(probes: list[Probe]) -> bool:
    """Return whether the seeds drew different weights; a build function may seed by itself."""
    sizes = {
        tuple(series.last() for (kind, _), series in p.trace.series.items() if kind.key == "weight_rms") for p in probes
    }
    return len(sizes) > 1 or len(probes) == 1


def _look(prober: Prober, model: nn.Module, feed: Feed, seed: int) -> Probe:
    """Measure a pass; where zero weights hide what lies behind them, a second one with those moved off zero."""
    first = prober.look(feed, traced=seed == 0)
    zero = _hiding(first, model)
    if not zero:
        return first
    with filled(zero):
        second = prober.look(feed, traced=seed == 0)
    reached = frozenset(name for name, reading in second.gradients.items() if reading.norm != 0)
    seen = first if math.isfinite(first.attenuation) else replace(second, loss=first.loss)
    return replace(seen, weights=first.weights, reached=first.reached | reached, filled=tuple(zero))


def _hiding(probe: Probe, model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that are zero and get a gradient, if others get none at present: they will after a step."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    silent = any(reading.norm == 0 for name, reading in probe.gradients.items() if name in named)
    if not silent and probe.attenuation > -math.inf:
        return {}
    moving = {name: named[name] for name, reading in probe.gradients.items() if reading.norm > 0 and name in named}
    return {
        name: parameter
        for name, parameter in moving.items()
        if not name.endswith("bias") and not bool(parameter.detach().any())
    }


@contextmanager
def filled(zero: dict[str, nn.Parameter]) -> Iterator[None]:
    """Put fresh weights of unit gain in the place of zero ones, by exchanging their storage for a while."""
    kept = {name: parameter.data for name, parameter in zero.items()}
    try:
        for parameter in zero.values():
            parameter.data = _fresh(parameter.data)
        yield
    finally:
        for name, parameter in zero.items():
            parameter.data = kept[name]


def _fresh(weight: Tensor) -> Tensor:
    if weight.dim() < 2:
        return torch.full_like(weight, _GATE)
    fan_in = weight.numel() / weight.shape[0]
    return torch.randn_like(weight) / math.sqrt(max(fan_in, 1.0))
