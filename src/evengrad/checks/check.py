"""``evengrad.check``: can this network train at all? One forward and one backward pass per seed, no step."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import nn
from torch.optim import Optimizer

from evengrad.checks import profile
from evengrad.checks.connection import judge_connection, judge_copies
from evengrad.checks.criteria import Case, Criteria
from evengrad.checks.depth import judge_depth, judge_signal, judge_time
from evengrad.checks.feeding import Feed
from evengrad.checks.optimizers import choice_of
from evengrad.checks.prediction import chain_of, predict, proposals
from evengrad.checks.probe import Probe
from evengrad.checks.result import CheckResult, Note, Prediction, Proposal, Setup, Spread
from evengrad.checks.seeds import Order, Passes, run_seeds
from evengrad.checks.start import (
    judge_attention,
    judge_data,
    judge_first_step,
    judge_format,
    judge_output,
    judge_outset,
    judge_units,
)
from evengrad.checks.subject import first_of, is_batch
from evengrad.core.event import EventKind
from evengrad.core.finding import Finding, Severity, Verdict
from evengrad.diagnosis.folding import fold
from evengrad.errors import UsageError
from evengrad.rules import non_finite
from evengrad.rules._depth import depths

_log = logging.getLogger(__name__)

_BROKEN = (EventKind.NON_FINITE, EventKind.NON_FINITE_LOSS, EventKind.NON_FINITE_GRADIENT)
_POST_NORMS = 4  # two blocks of attention and feed-forward

_JUDGES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    judge_depth,
    judge_signal,
    judge_time,
    judge_connection,
    judge_copies,
    judge_outset,
    judge_units,
    judge_output,
    judge_data,
    judge_attention,
    judge_format,
    judge_first_step,
)


def check(
    model: nn.Module | Callable[..., object],
    batch: object = None,
    loss_fn: Callable[..., object] | str | None = None,
    *,
    optimizer: Optimizer | str | None = None,
    seeds: int = 3,
) -> CheckResult:
    """Say whether a network can train, before its first step.

    A model that is passed is left exactly as it was: weights, buffers, gradients, modes and random states. A function
    that builds one is called once per seed, which shows how far a single draw of the weights may mislead.

    Args:
        model: A model, or a function (class) without arguments that returns one, or (model, batch, loss_fn).
        batch: Input, (input, target), a dict of inputs, or a loader of these; made up where left out.
        loss_fn: Called with output and target (or output, or model and batch); chosen by the output where left out.
        optimizer: The one that training will use: live, or a text such as ``"adam:1e-3"``. It is never stepped.
        seeds: Passes to measure.

    Returns:
        Verdict, findings and measurements; ``evengrad.report(result.diagnosis)`` prints the findings.

    Raises:
        UsageError: Model, batch and loss do not fit together.
        WatchError: The graph is too large to be measured.

    Example:
        >>> import evengrad
        >>> deep = torch.nn.Sequential(*[torch.nn.Linear(64, 64), torch.nn.Sigmoid()] * 20, torch.nn.Linear(64, 10))
        >>> evengrad.check(deep, seeds=1).verdict.value
        'sick'
    """
    given = None if batch is None else batch if is_batch(batch) else first_of(batch, type(batch).__name__)
    feed = Feed(batch=given, loss=loss_fn)
    return examine(Order(model, feed, choice_of(optimizer), seeds))


def examine(order: Order, *, name: str = "", criteria: Criteria | None = None) -> CheckResult:
    """Carry out a check.

    Args:
        order: What is to be checked.
        name: What the reader calls it; the class of the model where left out.
        criteria: Thresholds; the defaults if not given.

    Returns:
        The result.

    Raises:
        UsageError: The order makes no sense.
    """
    if order.seeds < 1:
        raise UsageError(f"expected at least one seed, got {order.seeds}; 3 show how far they differ")
    started = time.perf_counter()
    passes = run_seeds(order)
    probes = passes.probes
    middle = profile.typical(probes)
    predicted, wanted, by_layer = _theory(middle)
    case = Case(
        probes=probes,
        optimizer=passes.optimizer,
        redrawn=passes.redrawn,
        data_made=middle.passed.input_made,
        # A path through time steps says nothing of depth; judge_time looks at those.
        attenuation=Spread.of([probe.attenuation for probe in probes if depths(probe.trace)]),
        rows=profile.rows(probes, by_layer),
        outset=profile.outset(probes),
        prediction=predicted,
        transformer=profile.transformer(probes),
        times=profile.times(probes),
        criteria=criteria or Criteria(),
    )
    findings = _judge(case)
    sick = any(finding.severity is not Severity.INFO for finding in findings)
    return CheckResult(
        verdict=Verdict.SICK if sick else Verdict.HEALTHY,
        findings=findings,
        trace=replace(middle.trace, script=name or passes.name),
        setup=_setup(case, passes, name or passes.name),
        attenuation=case.attenuation,
        rows=case.rows,
        outset=case.outset,
        prediction=predicted,
        proposals=wanted if _is_uneven(case) else (),
        head_room=profile.head_room(probes),
        attention=middle.attention,
        transformer=case.transformer,
        times=case.times,
        notes=_notes(case, passes),
        seconds=time.perf_counter() - started,
    )


def _theory(probe: Probe) -> tuple[Prediction | None, tuple[Proposal, ...], dict[str, float]]:
    """Return what theory says of the path of a probe; nothing where it is no plain chain."""
    try:
        chain = chain_of(probe)
        expected = predict(chain) if chain is not None else None
        if chain is None or expected is None:
            return None, (), {}
        return expected[0], proposals(chain), expected[1]
    except (ValueError, ArithmeticError) as error:
        _log.debug("no prediction: %s", error)
        return None, (), {}


def _judge(case: Case) -> tuple[Finding, ...]:
    """Return the findings, consequences under their causes."""
    found: list[Finding] = []
    if case.trace.events_of(*_BROKEN):
        found += non_finite.RULE.judge(case.trace)
    for judge in _JUDGES:
        found += judge(case)
    return fold(found)


def _is_uneven(case: Case) -> bool:
    """Return whether depth does so much to the gradient that another initialisation is worth a word: a decade."""
    return not abs(case.attenuation.median) < 1.0


def _setup(case: Case, passes: Passes, name: str) -> Setup:
    passed = case.typical.passed
    return Setup(
        subject=name,
        parameters=passes.parameters,
        input=passed.input_words,
        input_made=passed.input_made,
        target=passed.target_words,
        target_made=passed.target_made,
        loss=passed.loss_words,
        loss_made=passed.loss_made,
        optimizer=passes.optimizer.words,
        seeds=len(case.probes),
        redrawn=passes.redrawn,
    )


def _notes(case: Case, passes: Passes) -> tuple[Note, ...]:
    """Return what the reader must know to take the verdict for what it is worth."""
    passed, notes = case.typical.passed, []
    if passed.input_made:
        key = "tokens-made" if passed.input_words.startswith("tokens") else "input-made"
        notes.append(Note(key, (("input", passed.input_words),)))
    if passed.target_made or passed.loss_made:
        notes.append(Note("aim-made", (("target", passed.target_words), ("loss", passed.loss_words))))
    if not passes.redrawn:
        notes.append(Note("one-draw" if len(case.probes) == 1 else "same-draw", (("seeds", str(len(case.probes))),)))
    filled = case.typical.filled
    if filled:
        notes.append(Note("filled", (("parameters", ", ".join(filled[:3])), ("count", str(len(filled))))))
    if case.typical.post_norms >= _POST_NORMS:
        notes.append(Note("post-norm"))
    if not case.optimizer.named:
        notes.append(Note("no-optimizer"))
    elif not math.isfinite(case.optimizer.rate):
        notes.append(Note("no-rate"))
    notes.append(Note("blind"))
    return tuple(notes)
