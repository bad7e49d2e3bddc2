"""Remedies drawn at random: what a prescription is compared with at the same budget."""

from __future__ import annotations

import random
from typing import Final

from evengrad.core.plan import Change, Plan
from evengrad.core.trace import Trace
from evengrad.remedies._catalogue import catalogue_remedies

_PAIR: Final = 0.5  # chance that a random plan holds two changes; own choice: prescriptions hold one or two
_TRIES: Final = 50  # draws per wanted plan; a run to which little applies has few distinct plans


def random_changes(trace: Trace) -> list[tuple[Change, ...]]:
    """Return what each remedy would change in a run if nothing were known of the cause; only those that apply."""
    proposed = (remedy.changes(trace, None) for remedy in catalogue_remedies().values())
    return [changes for changes in proposed if changes]


def random_plans(trace: Trace, count: int, *, seed: int) -> tuple[Plan, ...]:
    """Return distinct plans of one or two changes, drawn uniformly among the remedies that apply."""
    draw, pool = random.Random(seed), random_changes(trace)
    plans: dict[frozenset[Change], Plan] = {}
    for _ in range(_TRIES * count):
        if len(plans) >= count or not pool:
            break
        size = 2 if draw.random() < _PAIR and len(pool) > 1 else 1
        changes = tuple(draw.choice(candidates) for candidates in draw.sample(pool, size))
        if len({change.act for change in changes}) == len(changes):
            plans.setdefault(frozenset(changes), Plan(changes))
    return tuple(plans.values())
