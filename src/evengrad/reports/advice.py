"""What to do first about a finding, and which remedies fit its cause."""

from __future__ import annotations

import math
from typing import Final

from evengrad.core.finding import CauseKind, Finding
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.remedies._facts import guilty_activation, learning_rate, plain
from evengrad.remedies._init import suits
from evengrad.remedies.prescribe import advice_for
from evengrad.reports.actions import (
    BY_ACTIVATION,
    BY_CAUSE,
    BY_CAUSE_KEY,
    BY_RULE,
    BY_RULE_AND_CAUSE,
    LOOP,
    Action,
)
from evengrad.reports.ledger_table import spoken
from evengrad.reports.text import Texts, clean, number
from evengrad.reports.values import Remedy

_CUT: Final = 10.0  # factor by which a learning rate is moved first; own choice, one decade


def first_action(finding: Finding, trace: Trace, texts: Texts) -> tuple[str, tuple[Remedy, ...]]:
    """Return what to do first about a finding, and the remedies that fit its cause, each with its reason.

    Remedies that the finding brings along go before those of the catalogue.
    """
    action = _action(finding, trace)
    sentence = texts.say(
        f"first.{_key(action, trace)}{_variant(action, finding, trace)}", **_values(finding, trace, texts)
    )
    advice = finding.advice or advice_for(finding, trace)
    return sentence, tuple(Remedy(each.remedy, texts.reason(each)) for each in advice)


def _key(action: Action, trace: Trace) -> str:
    """Return the key of an action's sentence, with the initialisation that suits the run where there is a choice."""
    return f"{action.key}.{suits(trace)}" if action.drawn else action.key


def _action(finding: Finding, trace: Trace) -> Action:
    """Return the action for a finding: the most special row of the table that fits."""
    cause = finding.cause
    if finding.rule == "loop-order" or (cause is not None and cause.kind is CauseKind.LOOP_ORDER):
        return _loop_action(finding, trace)
    if cause is None:
        return BY_RULE.get(finding.rule, Action("read"))
    special = BY_CAUSE_KEY.get(cause.key) or BY_RULE_AND_CAUSE.get((finding.rule, cause.kind))
    if special is None and cause.kind is CauseKind.ACTIVATION_DERIVATIVE:
        special = BY_ACTIVATION.get(plain(guilty_activation(finding, trace)))
    return special or BY_CAUSE[cause.kind]


def _loop_action(finding: Finding, trace: Trace) -> Action:
    """Return the action for the fault in the order of calls: the one that the finding names, else the first."""
    events = trace.events_of(*LOOP)
    named = [kind for kind in LOOP if finding.message_key.endswith(f".{kind.value}")]
    at_step = [event.kind for event in events if event.step == finding.first_step]
    for kind in (*named, *at_step, *(event.kind for event in events)):
        return Action(f"loop-order.{kind.value}")
    return Action("read")


def _variant(action: Action, finding: Finding, trace: Trace) -> str:
    """Return which sentence on the learning rate to say: with it, without it where it is not known, or for zero."""
    if not action.key.startswith("learning-rate"):
        return ""
    rate = learning_rate(trace, finding)
    if rate == 0.0 and action.key == "learning-rate-low":
        return ".zero"
    return "" if rate > 0 else ".unknown"


def _values(finding: Finding, trace: Trace, texts: Texts) -> dict[str, str]:
    """Return what the sentences have blanks for."""
    rate = learning_rate(trace, finding)
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
