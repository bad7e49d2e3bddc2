"""Traces of real runs: each case is run once per session, under watch, and its trace kept."""

from __future__ import annotations

from functools import cache

import evengrad
from evengrad.cases._base import Case
from evengrad.core.discover import catalogue
from evengrad.core.finding import Diagnosis

CASES: dict[str, Case] = {name: module.CASE for name, module in catalogue("evengrad.cases").items()}
SICK = {name: case for name, case in CASES.items() if case.fault is not None}
HEALTHY = {name: case for name, case in CASES.items() if case.fault is None}

# Up to half a second each, one or two of every kind of repair; all cases are marked slow.
QUICK_SICK = (
    "bf16-weights-sgd dead-relu-bias deep-sigmoid-mlp detached-encoder glitch-in-targets inputs-in-thousands "
    "log-of-zero lora-both-zero loss-below-adam-eps lr-too-high-sgd lr-too-low-sgd peers-s3-unit-init "
    "peers-s7-fp16-casts relu-on-output softmax-of-one summed-loss-clipped targets-in-ten-thousands zero-grad-missing"
).split()
QUICK_HEALTHY = "contrastive edge-of-stability fine-tuning heavy-dropout lora-zero-init shallow-sigmoid".split()


def diagnosis_of(name: str, seed: int = 0) -> Diagnosis:
    """Return what is wrong with a case's run."""
    return _run(name, seed)


@cache
def _run(name: str, seed: int) -> Diagnosis:
    # A generous budget: how many probes the usual one leaves room for depends on what else the machine does.
    with evengrad.watch(budget=1.0) as monitor:
        CASES[name].run(seed)
    return evengrad.diagnose(monitor.trace())
