"""Judges what the network begins with: data, units, first prediction, attention, number format, first step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from evengrad.checks.connection import stuck_at_zero
from evengrad.checks.criteria import Case, median
from evengrad.checks.profile import followers
from evengrad.checks.texts import because, say
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import ParamInfo, SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.rules._depth import parameters, source_lines
from evengrad.rules._neighbours import is_output
from evengrad.rules._words import number, percent, place
from evengrad.theory.number_formats import number_format

Text = tuple[str, str, tuple[tuple[str, str], ...]]


def _finding(
    case: Case, rule: str, severity: Severity, text: Text, *, module: str, evidence: tuple[Evidence, ...], cause: Cause
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        message=text[0],
        modules=(module,) if module else (),
        parameters=parameters(case.trace, (module,)) if module else (),
        source=source_lines(case.trace, (module,)) if module else (),
        evidence=evidence,
        cause=cause,
        message_key=text[1],
        values=text[2],
    )


def judge_outset(case: Case) -> Iterator[Finding]:
    """Yield a first prediction that is far more certain than a guess."""
    first, bounds = case.outset, case.criteria
    times = first.loss.median / first.guess if first.guess > 0 else math.nan
    if not (math.isfinite(times) and times > bounds.certain):
        return
    ledger = case.typical.ledger
    last = ledger.last if ledger is not None else (case.trace.layers[-1].name if case.trace.layers else "")
    words = {"loss": number(first.loss.median), "times": number(times), "guess": number(first.guess)}
    text = say("certain", **words, classes=str(round(math.exp(first.guess))))
    evidence = Evidence("first loss over a guess's", times, bounds.certain)
    yield _finding(
        case,
        "bad-initialisation",
        Severity.WARNING,
        text,
        module=last,
        evidence=(evidence,),
        cause=_certain(case, last),
    )


def _certain(case: Case, last: str) -> Cause:
    """Return why a first prediction is certain: the last layer's weights, or what comes before them."""
    site = next((site for site in case.trace.layers if site.name == last), None)
    infos = {info.name: info for info in case.trace.parameters if len(info.shape) >= 2}
    held = [infos[name] for name in (site.parameters if site is not None else ()) if name in infos]
    scales = [math.sqrt(info.numel / info.shape[0]) * case.typical.weights.get(info.name, 0.0) for info in held]
    if scales and max(scales) > case.criteria.certain_scale:
        return because(CauseKind.WEIGHT_SCALE_LARGE, "cause-last", factor=number(max(scales)), layer=last)
    return because(CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM, "cause-depth")


def judge_units(case: Case) -> Iterator[Finding]:
    """Yield hidden layers nearly all of whose units pass no gradient on any sample."""
    bounds = case.criteria
    if stuck_at_zero(case):
        return  # the derivative of a rectifier at 0 is 0, and that is the weights' fault
    for site in case.trace.activations:
        shares = [probe.trace.get(Statistic.DEAD, site.name).first() for probe in case.probes]
        known = [share for share in shares if not math.isnan(share)]
        if not known or min(known) <= bounds.dead or site.operation not in ("Relu", "Threshold", "ClampMin"):
            continue
        samples = sum(probe.trace.get(Statistic.DEAD_SAMPLES, site.name).first() for probe in case.probes)
        believed = samples >= bounds.dead_samples or len(known) >= 3 or min(known) > bounds.dead_wholly
        if not believed or is_output(case.trace, site):
            continue
        text = say("dead", dead=percent(median(known)), site=site.name)
        evidence = Evidence("share of dead units", median(known), bounds.dead, "1", site.name)
        cause = because(CauseKind.DEAD_UNITS, "cause-units")
        yield _finding(case, "dead-units", Severity.ERROR, text, module=site.name, evidence=(evidence,), cause=cause)
        return


def judge_output(case: Case) -> Iterator[Finding]:
    """Yield a prediction that is one constant although the last layer tells samples apart."""
    trace, bounds = case.trace, case.criteria
    spreads = [p.trace.get(Statistic.OUTPUT_SPREAD).first() for p in case.probes]
    if not trace.layers or not spreads or not max(spreads) < bounds.output_spread:
        return
    last = trace.layers[-1]
    apart = trace.get(Statistic.DISTINGUISHABILITY, last.name).first()
    sizes = [probe.weights.get(name, 1.0) for probe in case.probes for name in last.parameters[:1]]
    if not apart > bounds.output_apart or min(sizes, default=1.0) < bounds.output_spread:
        return
    text = say("constant", layer=last.name)
    evidence = Evidence("spread of the prediction over its size", max(spreads), bounds.output_spread)
    cause = because(CauseKind.OUTPUT_ACTIVATION, "cause-output")
    yield _finding(case, "constant-output", Severity.ERROR, text, module=last.name, evidence=(evidence,), cause=cause)


def judge_data(case: Case) -> Iterator[Finding]:
    """Yield data of a size that the first layer cannot work with, where that is felt behind it."""
    if case.data_made:
        return
    for site in case.trace.layers:
        row = case.row(site.name)
        if row is None or row.depth != 0:
            continue
        size = row.signal_rms.median
        if size > case.criteria.input_large:
            yield from _too_large(case, site, size)
        elif size < case.criteria.input_small:
            yield from _too_small(case, site, size)


def _too_large(case: Case, site: SiteInfo, size: float) -> Iterator[Finding]:
    bounds, trace = case.criteria, case.trace
    follows = followers(trace).get(site.module)
    share = trace.get(Statistic.SATURATED, follows.name).first() if follows is not None else math.nan
    behind = _behind(case, site, Statistic.INPUT_RMS)
    rms = number(size)
    seen = Evidence("size of the data", size, bounds.input_large, "x", site.name)
    if follows is not None and share >= bounds.input_saturated and follows.operation != "Relu":
        text = say("input-saturates", layer=site.name, rms=rms, saturated=percent(share))
        felt = Evidence("saturated share", share, bounds.input_saturated, "1", follows.name)
    elif behind > bounds.input_behind:
        text = say("input-passes", layer=site.name, rms=rms, behind=number(behind))
        felt = Evidence("size behind the first layer", behind, bounds.input_behind, "x")
    else:
        return
    # An adaptive optimizer's step does not grow with the data.
    severity = Severity.INFO if case.optimizer.adaptive and "passes" in text[1] else Severity.WARNING
    cause = because(CauseKind.INPUT_SCALE, "cause-data", rms=rms)
    yield _finding(case, "input-scale", severity, text, module=site.name, evidence=(seen, felt), cause=cause)


def _too_small(case: Case, site: SiteInfo, size: float) -> Iterator[Finding]:
    bounds, trace = case.criteria, case.trace
    largest = trace.get(Statistic.INPUT_MAX, site.name).first()
    before = trace.get(Statistic.DISTINGUISHABILITY, site.name).first()
    behind = _behind(case, site, Statistic.DISTINGUISHABILITY)
    if not largest < bounds.input_small_max or not behind < bounds.input_drowned * before:
        return
    text = say("input-drowns", layer=site.name, rms=number(size))
    seen = Evidence("size of the data", size, bounds.input_small, "x", site.name)
    felt = Evidence("distinguishability behind over before", behind / before, bounds.input_drowned)
    cause = because(CauseKind.INPUT_SCALE, "cause-data", rms=number(size))
    yield _finding(case, "input-scale", Severity.WARNING, text, module=site.name, evidence=(seen, felt), cause=cause)


def _behind(case: Case, site: SiteInfo, statistic: Statistic) -> float:
    """Return a statistic at the next layer; nan if there is none."""
    following = (other for other in case.trace.layers if other != site)
    deeper = (other for other in following if (row := case.row(other.name)) is not None and row.depth == 1)
    return next((case.trace.get(statistic, other.name).first() for other in deeper), math.nan)


def judge_attention(case: Case) -> Iterator[Finding]:
    """Yield tokens that have become one, and attention that looks at single positions."""
    seen, bounds = case.transformer, case.criteria
    if seen is None:
        return
    if 1 - seen.cosine < bounds.alike and seen.query_key < bounds.query_key:
        words = {"cosine": f"{seen.cosine:.5f}", "where": place(case.trace, seen.where)}
        text = say("tokens", **words, ratio=number(seen.query_key))
        evidence = (
            Evidence("one less the mean cosine of tokens", 1 - seen.cosine, bounds.alike, "1", seen.where),
            Evidence("gradient of queries and keys over that of values", seen.query_key, bounds.query_key),
        )
        cause = because(CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM, "cause-residual")
        yield _finding(
            case, "bad-initialisation", Severity.WARNING, text, module=seen.where, evidence=evidence, cause=cause
        )
    heads = [one for one in case.typical.attention if not math.isnan(one.dead_rows)]
    worst = max(heads, key=lambda one: one.dead_rows, default=None)
    if worst is not None and (worst.dead_rows > bounds.dead_rows or worst.entropy < bounds.entropy):
        words = {"dead": percent(worst.dead_rows), "entropy": percent(worst.entropy)}
        text = say("peaked", module=place(case.trace, worst.module), **words)
        evidence = (
            Evidence("share of dead attention rows", worst.dead_rows, bounds.dead_rows, "1", worst.module),
            Evidence("entropy of attention over its maximum", worst.entropy, bounds.entropy, "1", worst.module),
        )
        cause = because(CauseKind.WEIGHT_SCALE_LARGE, "cause-scores", logits=number(worst.logits))
        yield _finding(
            case, "saturated-activation", Severity.WARNING, text, module=worst.module, evidence=evidence, cause=cause
        )


def judge_format(case: Case) -> Iterator[Finding]:
    """Yield what weights kept in half precision lose: gradients that flush to 0, steps that are rounded away."""
    matrices = _matrices(case)
    formats = {info.dtype for info in matrices}
    probe, bounds = case.typical, case.criteria
    if "float16" in formats:
        read = {i.name: probe.gradients[i.name] for i in matrices if i.name in probe.gradients}
        total = max(1, sum(one.numel for one in read.values()))
        lost = sum(max(one.underflow, one.zero_share) * one.numel for one in read.values()) / total
        if lost > bounds.underflow:
            worst = max(read, key=lambda name: max(read[name].underflow, read[name].zero_share))
            text = say("underflow", share=percent(lost), parameter=worst)
            evidence = Evidence("share of gradient entries that underflow", lost, bounds.underflow, "1", worst)
            cause = because(CauseKind.PRECISION, "cause-format", least=number(2.0**-25))
            yield _finding(case, "precision-loss", Severity.WARNING, text, module="", evidence=(evidence,), cause=cause)
    for dtype in sorted(formats & {"float16", "bfloat16"}):
        ratios = [ratio for info in matrices if info.dtype == dtype and (ratio := _ratio(case, info)) > 0]
        least = number_format(dtype).half_ulp[0]
        if ratios and (typical := float(np.median(ratios))) < least:
            text = say("rounding", update=number(typical), dtype=dtype, least=number(least))
            evidence = Evidence("typical update over half a unit in the last place", typical, least)
            cause = because(CauseKind.PRECISION, "cause-rounding", dtype=dtype)
            yield _finding(case, "precision-loss", Severity.WARNING, text, module="", evidence=(evidence,), cause=cause)


def judge_first_step(case: Case) -> Iterator[Finding]:
    """Yield a learning rate whose first step tears the weights, where the optimizer is known."""
    optimizer, bounds = case.optimizer, case.criteria
    ratios = {info.name: ratio for info in _matrices(case) if (ratio := _ratio(case, info)) > 0}
    if not ratios:
        return
    # An adaptive step is equally long everywhere: the typical tensor speaks, not the smallest one.
    typical = float(np.median(list(ratios.values()))) if optimizer.adaptive else max(ratios.values())
    if not typical > bounds.first_step:
        return
    name = min(ratios, key=lambda one: abs(ratios[one] - typical))
    text = say("first-step", optimizer=optimizer.kind, parameter=name, ratio=number(typical))
    evidence = Evidence("relative update of the first step", typical, bounds.first_step, "1", name)
    weight = case.typical.weights.get(name, math.nan)
    cause = because(CauseKind.LEARNING_RATE_HIGH, "cause-rate", rate=number(optimizer.rate), size=number(weight))
    info = case.trace.parameter(name)
    module = info.module if info is not None else ""
    yield _finding(case, "update-too-large", Severity.ERROR, text, module=module, evidence=(evidence,), cause=cause)


def _matrices(case: Case) -> list[ParamInfo]:
    return [info for info in case.trace.parameters if info.requires_grad and len(info.shape) >= 2]


def _ratio(case: Case, info: ParamInfo) -> float:
    """Return the relative size of the first step on a weight tensor; nan where it cannot be told.

    Source:
        Kingma and Ba, ICLR 2015: Adam's first step is lr * g / (|g| + eps) per entry.
    """
    optimizer, weight = case.optimizer, case.typical.weights.get(info.name, 0.0)
    reading = case.typical.gradients.get(info.name)
    fan_in = info.numel / max(1, info.shape[0])
    started_small = weight < case.criteria.first_step_least / math.sqrt(fan_in)
    if reading is None or not math.isfinite(optimizer.rate) or weight <= 0 or started_small or info.optimizer < 0:
        return math.nan
    if not optimizer.adaptive:
        return optimizer.rate * reading.rms / weight
    live = reading.rms / (reading.rms + optimizer.eps) if reading.rms > 0 else 0.0
    return optimizer.rate * live * math.sqrt(max(0.0, 1 - reading.zero_share)) / weight
