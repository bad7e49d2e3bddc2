"""What to do first, by measured cause: a table of actions, until the remedies' own layer says more.

Source:
    Own measurements, eight sick nets by twelve remedies: clipping and L2 repaired no explosion across depth, He
    initialisation no sigmoid net; standardising repaired inputs, smaller weights repaired weights. He et al., ICCV 2015
    (ReLU); Glorot and Bengio, AISTATS 2010 (tanh); Tallec and Ollivier, ICLR 2018 (forget bias); Pascanu et al., ICML
    2013 (clipping in time).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evengrad.core.event import EventKind
from evengrad.core.finding import CauseKind, Finding
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.reports.text import Texts, clean, number
from evengrad.reports.values import Remedy

_CUT: Final = 10.0  # factor by which a learning rate that is too high is lowered first; own choice, one decade


@dataclass(frozen=True)
class Action:
    """What to do first: ``key`` finds the sentence, ``remedies`` are ids, the first one first."""

    key: str
    remedies: tuple[str, ...] = ()


_BY_CAUSE: Final[Mapping[CauseKind, tuple[str, ...]]] = {
    CauseKind.ACTIVATION_DERIVATIVE: ("relu", "he-init"),
    CauseKind.WEIGHT_SCALE_SMALL: ("{init}", "layer-norm"),
    CauseKind.WEIGHT_SCALE_LARGE: ("{init}", "layer-norm"),
    CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM: ("residual", "layer-norm"),
    CauseKind.RECURRENT_JACOBIAN: ("forget-bias", "orthogonal-init"),
    CauseKind.INPUT_SCALE: ("normalise-input",),
    CauseKind.TARGET_SCALE: ("normalise-target",),
    CauseKind.LEARNING_RATE_HIGH: ("lower-lr", "warmup"),
    CauseKind.LEARNING_RATE_LOW: ("higher-lr",),
    CauseKind.LOSS_NUMERICS: ("loss-eps",),
    CauseKind.PRECISION: ("fp32",),
    CauseKind.DEAD_UNITS: ("he-init", "layer-norm", "leaky-relu"),
    CauseKind.LOOP_ORDER: (),
    CauseKind.DISCONNECTED: ("reconnect",),
    CauseKind.DATA: (),
    CauseKind.OPTIMIZER_EPSILON: ("lower-eps",),
    CauseKind.WARMUP_MISSING: ("warmup", "lower-lr"),
    CauseKind.OUTPUT_ACTIVATION: (),
}

_BY_RULE_AND_CAUSE: Final[Mapping[tuple[str, CauseKind], Action]] = {
    ("exploding-gradient", CauseKind.RECURRENT_JACOBIAN): Action(
        "recurrent-jacobian.exploding", ("clip-norm", "orthogonal-init")
    ),
    ("gradient-spike", CauseKind.RECURRENT_JACOBIAN): Action(
        "recurrent-jacobian.exploding", ("clip-norm", "orthogonal-init")
    ),
    ("gradient-spike", CauseKind.DATA): Action("gradient-spike.data", ("clip-norm",)),
    ("clipping-saturated", CauseKind.LEARNING_RATE_HIGH): Action("clipping-saturated", ("lower-lr",)),
    ("loss-scale-collapse", CauseKind.PRECISION): Action("loss-scale-collapse", ("fp32",)),
}

_BY_RULE: Final[Mapping[str, Action]] = {
    "gradient-spike": Action("gradient-spike", ("clip-norm", "lower-lr")),
    "clipping-saturated": Action("clipping-saturated"),
    "loss-scale-collapse": Action("loss-scale-collapse", ("fp32",)),
    "update-too-large": Action("learning-rate-high", ("lower-lr", "warmup")),
    "update-too-small": Action("learning-rate-low", ("higher-lr",)),
    "no-gradient": Action("disconnected", ("reconnect",)),
    "input-scale": Action("input-scale", ("normalise-input",)),
    "target-scale": Action("target-scale", ("normalise-target",)),
    "dead-units": Action("dead-units", ("he-init", "layer-norm", "leaky-relu")),
    "precision-loss": Action("precision", ("fp32",)),
    "non-finite": Action("non-finite"),
    "constant-output": Action("constant-output"),
}

# Activations whose derivative is 1 at the origin: where they eat the gradient they are saturated, and smaller weights
# free them (tanh at gain 3: Xavier repaired it, leaky ReLU at the same weights exploded). He makes good ReLU's half.
_UNSATURATE: Final = Action("activation-derivative.saturated", ("xavier-init", "layer-norm"))
_RESCALE: Final = Action("weight-scale-small.he-init", ("he-init", "layer-norm"))
_RESCALE_ON_DATA: Final = Action("weight-scale-small.lsuv-init", ("lsuv-init", "layer-norm"))
_BY_ACTIVATION: Final[Mapping[str, Action]] = {
    **dict.fromkeys(("tanh", "hardtanh", "softsign", "erf"), _UNSATURATE),
    **dict.fromkeys(("relu", "leakyrelu", "prelu", "rrelu", "elu"), _RESCALE),
    **dict.fromkeys(("gelu", "silu", "mish", "hardswish"), _RESCALE_ON_DATA),
}

_LOOP: Final[Mapping[EventKind, tuple[str, ...]]] = {
    EventKind.ZERO_GRAD_MISSING: ("zero-grad",),
    EventKind.ZERO_GRAD_BEFORE_STEP: ("zero-grad",),
    EventKind.CLIP_BEFORE_BACKWARD: ("clip-norm",),
    EventKind.CLIP_AFTER_STEP: ("clip-norm",),
    EventKind.CLIP_BEFORE_UNSCALE: ("unscale-before-clip",),
    EventKind.DOUBLE_STEP: (),
    EventKind.STEP_WITHOUT_BACKWARD: (),
    EventKind.FOREIGN_PARAMETERS: ("reconnect",),
}

# Which initialisation keeps the gradient's size through an activation (autograd's name, lower case). Sigmoid has none:
# no weight scale repairs it. GELU and SiLU are below critical with He, so their scale is found on data.
_INITIALISATION: Final[Mapping[str, str]] = {
    "relu": "he-init",
    "leakyrelu": "he-init",
    "prelu": "he-init",
    "prelukernel": "he-init",
    "rrelu": "he-init",
    "elu": "he-init",
    "hardtanh": "xavier-init",
    "tanh": "xavier-init",
    "softsign": "xavier-init",
    "": "xavier-init",  # no activation: a linear chain
}


def first_action(finding: Finding, trace: Trace, texts: Texts) -> tuple[str, tuple[Remedy, ...]]:
    """Return what to do first about a finding, and the remedies that fit its cause, each with its reason."""
    action = _action(finding, trace)
    values = _values(finding, trace, texts)
    key = f"first.{action.key}"
    if "learning-rate" in action.key and not values["lr"]:
        key = f"{key}.unknown"
    sentence = texts.say(key, **values)
    if finding.advice:
        return sentence, tuple(Remedy(advice.remedy, clean(advice.why)) for advice in finding.advice)
    return sentence, tuple(Remedy(name, _reason(name, action.key, texts)) for name in action.remedies)


def _reason(remedy: str, action: str, texts: Texts) -> str:
    """Return why a remedy fits; a reason bound to the action goes before the remedy's general one."""
    bound = f"why.{action}.{remedy}"
    return texts.say(bound if texts.has(bound) else f"why.{remedy}")


def _action(finding: Finding, trace: Trace) -> Action:
    """Return the action for a finding: by rule and cause, by cause, by rule, or to read the rule's page."""
    kind = finding.cause.kind if finding.cause else None
    if kind is CauseKind.LOOP_ORDER or (kind is None and finding.rule == "loop-order"):
        return _loop_action(finding, trace)
    if kind is not None and (finding.rule, kind) in _BY_RULE_AND_CAUSE:
        return _BY_RULE_AND_CAUSE[finding.rule, kind]
    if kind is CauseKind.ACTIVATION_DERIVATIVE and guilty_activation(trace) in _BY_ACTIVATION:
        return _BY_ACTIVATION[guilty_activation(trace)]
    if kind is not None:
        chosen = initialisation(trace)
        remedies = tuple(chosen if name == "{init}" else name for name in _BY_CAUSE[kind])
        suffix = f".{chosen}" if "{init}" in _BY_CAUSE[kind] else ""
        return Action(f"{kind.value}{suffix}", remedies)
    return _BY_RULE.get(finding.rule, Action("read"))


def _loop_action(finding: Finding, trace: Trace) -> Action:
    """Return the action for the fault in the order of calls: the one that the finding names, else the first."""
    events = trace.events_of(*_LOOP)
    named = [event for event in events if event.kind.value in finding.message_key]
    at_step = [event for event in events if event.step == finding.first_step]
    for event in (*named, *at_step, *events):
        return Action(f"loop-order.{event.kind.value}", _LOOP[event.kind])
    return Action("read")


def initialisation(trace: Trace) -> str:
    """Return the initialisation that suits the activation used most: a remedy's id."""
    counts: dict[str, int] = {}
    for site in trace.activations:
        name = site.operation.lower()
        counts[name] = counts.get(name, 0) + site.uses
    most = max(counts, key=lambda name: counts[name], default="")
    return _INITIALISATION.get(most, "lsuv-init")


def _values(finding: Finding, trace: Trace, texts: Texts) -> dict[str, str]:
    """Return what the sentences have blanks for; "" for what is not known."""
    rate = _learning_rate(finding, trace)
    norm = trace.get(Statistic.GRAD_NORM).median()
    return {
        "rule": finding.rule,
        "lr": number(rate) if rate > 0 else "",
        "lower": number(rate / _CUT) if rate > 0 else "",
        "higher": number(rate * _CUT) if rate > 0 else "",
        "norm": number(norm) if math.isfinite(norm) else "?",
        "activation": guilty_activation(trace) or texts.say("word.activation"),
    }


def _learning_rate(finding: Finding, trace: Trace) -> float:
    """Return the largest learning rate in use when the finding began; 0 when none is known."""
    owners = {o.index for name in finding.parameters if (o := trace.optimizer_of(name)) is not None}
    rates = [0.0]
    for subject in trace.subjects(Statistic.LEARNING_RATE):
        if owners and int(subject.partition("/")[0]) not in owners:
            continue
        known = trace.get(Statistic.LEARNING_RATE, subject).finite
        before = known.between(0, finding.first_step)
        rates.append(before.last() if len(before) else known.first() if len(known) else 0.0)
    return max(rates)


def guilty_activation(trace: Trace) -> str:
    """Return the activation that took most of the gradient in the steepest ledger, ``sigmoid``; "" if none did."""
    sums: dict[str, float] = {}
    for ledger in trace.ledgers:
        for entry in ledger:
            if entry.kind is EntryKind.ACTIVATION and not math.isnan(entry.decades):
                sums[entry.operation] = sums.get(entry.operation, 0.0) + entry.decades
    worst = min(sums, key=lambda name: sums[name], default="")
    return clean(worst.lower().removesuffix("backward")) if worst and sums[worst] < 0 else ""
