"""Judges the gradient across depth and time, and the signal on its way forward."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from evengrad.checks.connection import copied, stuck_at_zero
from evengrad.checks.criteria import Case
from evengrad.checks.profile import path_sites
from evengrad.checks.result import Time
from evengrad.checks.texts import because, say
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.ledger import Ledger
from evengrad.rules import exploding_gradient, vanishing_gradient
from evengrad.rules._blame import Blame, blame
from evengrad.rules._depth import parameters, source_lines
from evengrad.rules._words import lines, number, place

_UNBOUNDED = ("sigmoid", "hardsigmoid", "softplus", "logsigmoid")  # no useful weight scale makes up for what they take


def judge_depth(case: Case) -> Iterator[Finding]:
    """Yield what depth does to the gradient."""
    ledger = case.typical.ledger
    if ledger is None or math.isnan(case.attenuation.median):
        return
    attenuation, bounds = case.attenuation.median, case.criteria
    if copied(case) or (attenuation == -math.inf and stuck_at_zero(case)):
        return  # what is lost is lost to the fault of those weights
    if attenuation <= bounds.vanishing:
        yield _vanishes(case, ledger)
    elif attenuation <= bounds.fading and not case.optimizer.adaptive:
        yield _fades(case, ledger)
    elif attenuation >= bounds.growing:
        text = say("explodes", decades=f"{attenuation:.1f}", last=ledger.last, first=ledger.first)
        warned = attenuation < bounds.exploding or _is_chance(case)
        bound = bounds.growing if attenuation < bounds.exploding else bounds.exploding
        severity = Severity.WARNING if warned else Severity.ERROR
        evidence = Evidence("gradient across depth", attenuation, bound, "decades", ledger.first)
        yield _finding(case, "exploding-gradient", severity, text, (evidence,), cause=_grown(case, ledger))


def _fades(case: Case, ledger: Ledger) -> Finding:
    """Return the finding on a gradient that falls enough to slow down an optimizer that takes it as it is."""
    ends = {"decades": f"{abs(case.attenuation.median):.1f}", "last": ledger.last, "first": ledger.first}
    if case.optimizer.named:
        severity, text = Severity.WARNING, say("fades-linear", **ends, optimizer=case.optimizer.kind)
    else:
        severity, text = Severity.INFO, say("fades", **ends)
    bound = case.criteria.fading
    evidence = Evidence("gradient across depth", case.attenuation.median, bound, "decades", ledger.first)
    return _finding(case, "vanishing-gradient", severity, text, (evidence,), cause=_lost(case, ledger))


def _is_chance(case: Case) -> bool:
    """Return whether theory expects a sound net of these weights, and this draw lies within its band."""
    expected = case.prediction
    if expected is None or case.redrawn:
        return False
    sound = case.criteria.vanishing < expected.attenuation + expected.bias < case.criteria.exploding
    reach = case.criteria.band * expected.deviation
    return sound and abs(case.attenuation.median - expected.attenuation - expected.bias) <= reach


def _vanishes(case: Case, ledger: Ledger) -> Finding:
    severity, text, felt = _felt(case, ledger)
    if severity is Severity.ERROR and _is_chance(case):
        severity = Severity.WARNING
    attenuation = case.attenuation.median
    evidence = Evidence("gradient across depth", attenuation, case.criteria.vanishing, "decades", ledger.first)
    return _finding(case, "vanishing-gradient", severity, text, (evidence, *felt), cause=_lost(case, ledger))


def _felt(
    case: Case, ledger: Ledger
) -> tuple[Severity, tuple[str, str, tuple[tuple[str, str], ...]], tuple[Evidence, ...]]:
    """Return how bad a lost gradient is for the optimizer in use, the sentence that says so, and its evidence."""
    bounds, attenuation, optimizer = case.criteria, case.attenuation.median, case.optimizer
    ends = {"decades": f"{abs(attenuation):.1f}", "last": ledger.last, "first": ledger.first}
    if attenuation == -math.inf:
        count = str(max(1, _layers_to_zero(case, ledger)))
        return Severity.ERROR, say("vanishes-zero", first=ledger.first, layers=count), ()
    row = case.row(ledger.last)
    if row is not None and row.apart < bounds.indistinct:
        seen = Evidence("variance between samples over second moment", row.apart, bounds.indistinct, "1", ledger.last)
        # An adaptive optimizer gets there all the same, if not too much of the gradient is lost.
        slow = optimizer.adaptive and attenuation > bounds.delayed
        return (Severity.WARNING if slow else Severity.ERROR), say("vanishes-indistinct", **ends), (seen,)
    if row is not None and row.signal.median < -bounds.signal:
        ratio = 10**row.signal.median
        quantity = "size of the last layer's input relative to the first hidden layer's"
        seen = Evidence(quantity, ratio, 10**-bounds.signal, "1", ledger.last)
        return Severity.ERROR, say("vanishes-faded", **ends, ratio=number(ratio)), (seen,)
    if not optimizer.named:
        return (Severity.ERROR if attenuation <= bounds.delayed else Severity.WARNING), say("vanishes", **ends), ()
    if not optimizer.adaptive:
        return Severity.ERROR, say("vanishes-linear", **ends, optimizer=optimizer.kind), ()
    name, size = _faintest(case, ledger)
    if optimizer.eps > 0 and size < bounds.epsilon * optimizer.eps:
        seen = Evidence("size of the gradient over eps", size / optimizer.eps, bounds.epsilon, "1", name)
        words = {"layer": name, "size": number(size), "eps": number(optimizer.eps), "optimizer": optimizer.kind}
        return Severity.ERROR, say("vanishes-epsilon", **ends, **words), (seen,)
    if attenuation <= bounds.delayed:
        return Severity.WARNING, say("vanishes-delayed", **ends, optimizer=optimizer.kind), ()
    return Severity.INFO, say("vanishes-mild", **ends, optimizer=optimizer.kind), ()


def _faintest(case: Case, ledger: Ledger) -> tuple[str, float]:
    """Return the weight tensor on the path whose gradient is smallest, and its rms; inf where none was read."""
    held = parameters(case.trace, path_sites(ledger))
    matrices = [n for n in held if (info := case.trace.parameter(n)) is not None and len(info.shape) >= 2]
    read = {name: case.typical.gradients[name].rms for name in matrices if name in case.typical.gradients}
    alive = {name: size for name, size in read.items() if size > 0}
    name = min(alive, key=lambda one: alive[one], default="")
    return name, alive.get(name, math.inf)


def _layers_to_zero(case: Case, ledger: Ledger) -> int:
    """Return how many layers of the path the gradient passes before it is exactly 0."""
    gradients = [case.row(name) for name in reversed(path_sites(ledger))]
    return sum(row is not None and row.gradient.median > -math.inf for row in gradients)


def _lost(case: Case, ledger: Ledger) -> Cause:
    """Put the ledger's blame for a lost gradient into words."""
    rule, reason = vanishing_gradient.RULE, blame(ledger)
    if ledger.attenuation == -math.inf:
        if case.prediction is not None and case.prediction.attenuation < case.criteria.vanishing:
            return because(CauseKind.WEIGHT_SCALE_SMALL, "cause-depth")
        module = place(case.trace, reason.entry.module if reason.entry else ledger.first)
        return because(reason.kind, "cause-blocked", module=module)
    common = _common(reason, f"{abs(ledger.attenuation):.1f}")
    if reason.kind is CauseKind.ACTIVATION_DERIVATIVE:
        key = "cause-activation" if reason.operation.lower() in _UNBOUNDED else "cause-saturated"
        return rule.cause(reason.kind, reason.share, key, operation=reason.operation or "-", **common)
    if reason.kind is CauseKind.WEIGHT_SCALE_SMALL:
        factor = number(10 ** (reason.part / max(1, ledger.layers - 1)))
        if not reason.operation:
            return rule.cause(reason.kind, reason.share, "cause-linear", factor=factor, **common)
        words = {"operation": reason.operation, "factor": factor}
        return rule.cause(reason.kind, reason.share, "cause-weights", **words, **common)
    if reason.kind is CauseKind.DEAD_UNITS:
        module = place(case.trace, reason.entry.module if reason.entry else ledger.first)
        return rule.cause(reason.kind, reason.share, "cause-dead", operation=reason.operation, module=module)
    if reason.kind is CauseKind.RECURRENT_JACOBIAN:
        return rule.cause(
            reason.kind, reason.share, "cause-recurrent", total=common["total"], part=f"{reason.part:+.1f}"
        )
    return rule.cause(reason.kind, reason.share, "cause-depth", layers=str(ledger.layers), **common)


def _grown(case: Case, ledger: Ledger) -> Cause:
    """Put the ledger's blame for a grown gradient into words."""
    rule, reason = exploding_gradient.RULE, blame(ledger)
    common = _common(reason, f"{ledger.attenuation:.1f}")
    if reason.kind is CauseKind.WEIGHT_SCALE_LARGE:
        factor = number(10 ** (reason.part / max(1, ledger.layers - 1)))
        return rule.cause(reason.kind, reason.share, "cause-weights", factor=factor, **common)
    if reason.kind is CauseKind.ACTIVATION_DERIVATIVE:
        return rule.cause(reason.kind, reason.share, "cause-activation", operation=reason.operation, **common)
    if reason.kind is CauseKind.RECURRENT_JACOBIAN:
        words = {"total": common["total"], "part": f"{reason.part:+.1f}"}
        return rule.cause(reason.kind, reason.share, "cause-recurrent-depth", **words)
    kind = CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM
    return rule.cause(kind, reason.share, "cause-depth", layers=str(ledger.layers), **common)


def _common(reason: Blame, total: str) -> Mapping[str, str]:
    return {
        "total": total,
        "weights": f"{reason.weights:+.1f}",
        "taken": f"{reason.activations:+.1f}",
        "rest": f"{reason.rest:+.1f}",
    }


def _finding(
    case: Case,
    rule: str,
    severity: Severity,
    text: tuple[str, str, tuple[tuple[str, str], ...]],
    evidence: tuple[Evidence, ...],
    *,
    cause: Cause,
) -> Finding:
    """Return a finding on the path of the typical seed."""
    ledger = case.typical.ledger
    assert ledger is not None
    bound = case.criteria.fading if rule == "vanishing-gradient" else case.criteria.growing
    layers = tuple(
        name for name in path_sites(ledger) if (row := case.row(name)) and _beyond(row.gradient.median, bound)
    ) or (ledger.first,)
    reason = blame(ledger)
    return Finding(
        rule=rule,
        severity=severity,
        message=text[0],
        modules=layers,
        parameters=parameters(case.trace, layers),
        source=lines(reason.entry.source if reason.entry else None, *source_lines(case.trace, layers)),
        evidence=evidence,
        cause=cause,
        message_key=text[1],
        values=text[2],
    )


def _beyond(value: float, bound: float) -> bool:
    return value <= bound if bound < 0 else value >= bound


def judge_signal(case: Case) -> Iterator[Finding]:
    """Yield what depth does to the signal on its way forward."""
    ledger = case.typical.ledger
    row = case.row(ledger.last) if ledger is not None else None
    if row is None or ledger is None or stuck_at_zero(case):
        return
    bounds, decades, severity = case.criteria, row.signal.median, Severity.ERROR
    if abs(decades) > bounds.signal:
        text, key, values = say(
            "signal", decades=f"{decades:+.1f}", first=(*path_sites(ledger)[1:2], ledger.first)[0], last=ledger.last
        )
        kind = CauseKind.WEIGHT_SCALE_SMALL if decades < 0 else CauseKind.WEIGHT_SCALE_LARGE
        bound = math.copysign(bounds.signal, decades)
        evidence = Evidence("size of the signal across depth", decades, bound, "decades", ledger.last)
        cause = because(kind, "cause-scale", factor=number(10 ** (decades / max(1, ledger.layers - 1))))
    elif row.apart < bounds.indistinct:
        text, key, values = say("indistinct", layer=ledger.last, share=number(row.apart))
        if case.optimizer.adaptive and case.attenuation.median > bounds.delayed:
            severity = Severity.WARNING
        quantity = "variance between samples over second moment"
        evidence = Evidence(quantity, row.apart, bounds.indistinct, "1", ledger.last)
        cause = because(CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM, "cause-depth")
    else:
        return
    yield Finding(
        rule="bad-initialisation",
        severity=severity,
        message=text,
        modules=path_sites(ledger),
        parameters=parameters(case.trace, path_sites(ledger)),
        source=source_lines(case.trace, path_sites(ledger)),
        evidence=(evidence,),
        cause=cause,
        message_key=key,
        values=values,
    )


def judge_time(case: Case) -> Iterator[Finding]:
    """Yield what time does to the gradient in recurrent layers."""
    bounds = case.criteria
    for time in case.times:
        decades = time.decades.median
        name = place(case.trace, time.module)
        if decades >= bounds.time_exploding:
            text = say("time-explodes", length=str(time.length), module=name, decades=f"{decades:.1f}")
            yield _in_time(case, time, "exploding-gradient", Severity.ERROR, text)
        elif decades <= bounds.time_vanishing:
            horizon = str(max(1, round(-bounds.horizon / time.per_step)))
            ends = {"length": str(time.length), "module": name, "decades": f"{abs(decades):.1f}"}
            text = say("time-vanishes", horizon=horizon, **ends)
            yield _in_time(case, time, "vanishing-gradient", Severity.INFO, text)


def _in_time(
    case: Case, time: Time, rule: str, severity: Severity, text: tuple[str, str, tuple[tuple[str, str], ...]]
) -> Finding:
    bound = case.criteria.time_vanishing if time.decades.median < 0 else case.criteria.time_exploding
    source = vanishing_gradient.RULE if rule == "vanishing-gradient" else exploding_gradient.RULE
    key = "cause-recurrent-time" if rule == "vanishing-gradient" else "cause-recurrent"
    return Finding(
        rule=rule,
        severity=severity,
        message=text[0],
        modules=(time.module,),
        parameters=parameters(case.trace, (time.module,)),
        source=source_lines(case.trace, (time.module,)),
        evidence=(Evidence("gradient across time", time.decades.median, bound, "decades", time.module),),
        cause=source.cause(CauseKind.RECURRENT_JACOBIAN, 1.0, key, factor=number(10**time.per_step)),
        message_key=text[1],
        values=text[2],
    )
