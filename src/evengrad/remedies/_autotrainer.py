"""The order of repairs of an earlier system, AUTOTRAINER: what a prescription is compared with.

Source:
    Zhang, Zhai, Ma and Shen, ICSE 2021; ``repair_strategy`` ("balance") in the repository shiningrain/AUTOTRAINER.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from evengrad.core.finding import Finding
from evengrad.core.plan import Act, Change, Plan, Risk, Setting
from evengrad.core.trace import Trace
from evengrad.remedies._facts import hidden_activations, optimizer, optimizer_lines
from evengrad.remedies._init import can_draw
from evengrad.remedies._rates import known_rate

# Its symptoms by this project's rules, and what it tries for each, by name and number of tries. Batch size and early
# stopping have no act here; of its several rates one lower and one higher are tried.
_SYMPTOMS: Final = {
    "vanishing-gradient": "vanishing",
    "exploding-gradient": "exploding",
    "non-finite": "exploding",
    "loss-scale-collapse": "exploding",
    "dead-units": "dying",
    "update-too-large": "oscillating",
    "gradient-spike": "oscillating",
}
_REPAIRS: Final = {
    "vanishing": ("selu", "relu", "batch-norm"),
    "exploding": ("selu", "relu", "clip", "clip", "tanh", "batch-norm"),
    "dying": ("selu", "batch-norm", "init", "init", "init", "leaky-relu"),
    "oscillating": ("adam", "rate-down", "rate-up", "momentum", "init"),
    "slow": ("adam", "rate-down", "rate-up", "init", "init"),
}
_INITS: Final = ("he", "xavier", "orthogonal")  # it picks one of six at random; here the three that torch has, in turn
_CLIP_VALUES: Final = (9.5, 9.5)  # its bound is drawn from U(9, 10)
_NAME: Final = "autotrainer"


def autotrainer_order(finding: Finding, trace: Trace) -> Iterator[Plan]:
    """Give AUTOTRAINER's repairs for a finding's symptom, in its order."""
    tries: dict[str, int] = {}
    for name in _REPAIRS[_SYMPTOMS.get(finding.rule, "slow")]:
        changes = _repair(name, tries.get(name, 0), finding, trace)
        tries[name] = tries.get(name, 0) + 1
        if changes:
            yield Plan(changes)


def _repair(name: str, attempt: int, finding: Finding, trace: Trace) -> tuple[Change, ...]:
    """Return one of its repairs as changes; empty where it has nothing to act on."""
    lines, rate = optimizer_lines(optimizer(trace, finding)), known_rate(trace, finding)
    if name in ("selu", "relu", "tanh", "leaky-relu"):
        return _swap(name, trace)
    if name == "batch-norm":
        return (_change(Act.NORMALISE, Risk.ARCHITECTURE, kind="batch"),) if can_draw(trace) else ()
    if name == "init":
        method = _INITS[attempt % len(_INITS)]
        return (_change(Act.INITIALISE, Risk.INITIALISATION, method=method),) if can_draw(trace) else ()
    settings: dict[str, Setting] = {}
    if name == "clip":
        return (_change(Act.CLIP, Risk.OPTIMIZER, kind="value", threshold=_CLIP_VALUES[attempt]),)
    if name == "adam":
        settings = {"optimizer": "Adam", "lr": 1e-3}
    elif name == "momentum":
        settings = {"momentum": 0.9}
    elif math.isfinite(rate):
        settings = {"lr": rate / 10 if name == "rate-down" else rate * 10}
    return (Change(_NAME, Act.OPTIMIZE, Risk.OPTIMIZER, tuple(settings.items()), lines=lines),) if settings else ()


def _swap(name: str, trace: Trace) -> tuple[Change, ...]:
    """Return a swap of every hidden activation, with the initialisation that it puts beside it."""
    sites = tuple(site.name for site in hidden_activations(trace))
    if not sites:
        return ()
    swapped = Change(_NAME, Act.ACTIVATE, Risk.ACTIVATION, (("to", name),), sites)
    methods = {"relu": "he", "selu": "lecun"}
    if name not in methods or not can_draw(trace):
        return (swapped,)
    return swapped, _change(Act.INITIALISE, Risk.INITIALISATION, method=methods[name])


def _change(act: Act, risk: Risk, **settings: Setting) -> Change:
    return Change(_NAME, act, risk, tuple(settings.items()))
