"""What to do first about a finding, and which remedies fit its cause."""

from __future__ import annotations

import math
from typing import Final

from evengrad.core.finding import CauseKind, Finding
from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.reports.actions import (
    BY_ACTIVATION,
    BY_CAUSE,
    BY_CAUSE_KEY,
    BY_RULE,
    BY_RULE_AND_CAUSE,
    INIT,
    INITIALISATION,
    LOOP,
    Action,
)
from evengrad.reports.ledger_table import spoken
from evengrad.reports.text import Texts, clean, number
from evengrad.reports.values import Remedy

_CUT: Final = 10.0  # factor by which a learning rate is moved first; own choice, one decade


def first_action(finding: Finding, trace: Trace, texts: Texts) -> tuple[str, tuple[Remedy, ...]]:
    """Return what to do first about a finding, and the remedies that fit its cause, each with its reason.

    Remedies that the finding brings along go before those of the table.
    """
    action = _fitted(_action(finding, trace), trace)
    sentence = texts.say(f"first.{action.key}{_variant(action, finding, trace)}", **_values(finding, trace, texts))
    if finding.advice:
        return sentence, tuple(Remedy(advice.remedy, clean(advice.why)) for advice in finding.advice)
    return sentence, tuple(Remedy(name, _reason(name, action.key, texts)) for name in action.remedies)


def _reason(remedy: str, action: str, texts: Texts) -> str:
    """Return why a remedy fits; a reason bound to the action goes before the remedy's general one."""
    bound = f"why.{action}.{remedy}"
    return texts.say(bound if texts.has(bound) else f"why.{remedy}")


def _action(finding: Finding, trace: Trace) -> Action:
    """Return the action for a finding: the most special row of the table that fits."""
    cause = finding.cause
    if finding.rule == "loop-order" or (cause is not None and cause.kind is CauseKind.LOOP_ORDER):
        return _loop_action(finding, trace)
    if cause is None:
        return BY_RULE.get(finding.rule, Action("read"))
    special = BY_CAUSE_KEY.get(cause.key) or BY_RULE_AND_CAUSE.get((finding.rule, cause.kind))
    if special is None and cause.kind is CauseKind.ACTIVATION_DERIVATIVE:
        special = BY_ACTIVATION.get(_plain(guilty_activation(finding, trace)))
    return special or BY_CAUSE[cause.kind]


def _loop_action(finding: Finding, trace: Trace) -> Action:
    """Return the action for the fault in the order of calls: the one that the finding names, else the first."""
    events = trace.events_of(*LOOP)
    named = [kind for kind in LOOP if finding.message_key.endswith(f".{kind.value}")]
    at_step = [event.kind for event in events if event.step == finding.first_step]
    for kind in (*named, *at_step, *(event.kind for event in events)):
        return Action(f"loop-order.{kind.value}", LOOP[kind])
    return Action("read")


def _fitted(action: Action, trace: Trace) -> Action:
    """Return an action with the initialisation that suits the run in the place of the blank."""
    if INIT not in action.remedies:
        return action
    chosen = initialisation(trace)
    remedies = tuple(chosen if name == INIT else name for name in action.remedies)
    scaled = action.key in ("weight-scale-small", "weight-scale-large")
    return Action(f"{action.key}.{chosen}" if scaled else action.key, remedies)


def initialisation(trace: Trace) -> str:
    """Return the initialisation that suits the activation used most: a remedy's id."""
    counts: dict[str, int] = {}
    for site in trace.activations:
        name = _plain(site.operation)
        counts[name] = counts.get(name, 0) + site.uses
    most = max(counts, key=lambda name: counts[name], default="")
    return INITIALISATION.get(most, "lsuv-init")


def _plain(operation: str) -> str:
    """Return autograd's name of an operation without case and version, ``LeakyRelu`` → ``leakyrelu``."""
    return operation.lower().rstrip("_0123456789")


def _variant(action: Action, finding: Finding, trace: Trace) -> str:
    """Return which sentence on the learning rate to say: with it, without it where it is not known, or for zero."""
    if not action.key.startswith("learning-rate"):
        return ""
    rate = _learning_rate(finding, trace)
    if rate == 0.0 and action.key == "learning-rate-low":
        return ".zero"
    return "" if rate > 0 else ".unknown"


def _values(finding: Finding, trace: Trace, texts: Texts) -> dict[str, str]:
    """Return what the sentences have blanks for."""
    rate = _learning_rate(finding, trace)
    norm = trace.get(Statistic.GRAD_NORM).median()
    activation = guilty_activation(finding, trace)
    return {
        "rule": clean(finding.rule),
        "lr": number(rate),
        "lower": number(rate / _CUT),
        "higher": number(rate * _CUT),
        "norm": number(norm) if math.isfinite(norm) else "?",
        "activation": spoken(activation) if activation else texts.say("word.activation"),
    }


def _learning_rate(finding: Finding, trace: Trace) -> float:
    """Return the largest learning rate in use when the finding began; nan when none is known."""
    owners = {o.index for name in finding.parameters if (o := trace.optimizer_of(name)) is not None}
    rates: list[float] = []
    for subject in trace.subjects(Statistic.LEARNING_RATE):
        known = trace.get(Statistic.LEARNING_RATE, subject).finite
        if len(known) and (not owners or subject.partition("/")[0] in {str(owner) for owner in owners}):
            before = known.between(0, finding.first_step)
            rates.append(before.last() if len(before) else known.first())
    return max(rates, default=math.nan)


def guilty_activation(finding: Finding, trace: Trace) -> str:
    """Return the activation that did most in the finding's direction, over all ledgers, as autograd calls it; or ""."""
    direction = 1.0 if finding.rule == "exploding-gradient" else -1.0
    sums: dict[str, float] = {}
    for ledger in trace.ledgers:
        for entry in ledger:
            if entry.kind is EntryKind.ACTIVATION and not math.isnan(entry.decades):
                sums[entry.operation] = sums.get(entry.operation, 0.0) + direction * entry.decades
    worst = max(sums, key=lambda name: sums[name], default="")
    if worst and sums[worst] > 0:
        return worst
    # Without a ledger: the activation of the site that the finding names.
    named = [site.operation for site in trace.activations if site.name in finding.modules]
    return named[0] if named else ""
