"""Paired runs of a function of one's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evengrad.core.plan import Act, Change, Plan, Risk
from evengrad.core.trial import Outcome, Role
from evengrad.errors import UsageError
from evengrad.trials.trial import trial


def plan(name: str, risk: Risk = Risk.OPTIMIZER) -> Plan:
    return Plan((Change(name, Act.OPTIMIZE, risk),))


def make_run(plan: Plan, seed: int) -> list[float]:
    """Fall at a rate that the plan sets, with noise of 1 % from the seed."""
    if "broken" in plan.remedies:
        raise RuntimeError("no such layer")
    rate = {"fast": 0.05, "slow": 0.0, "large": 0.1}.get(plan.remedies[0] if plan.remedies else "", 0.01)
    noise = np.random.default_rng(seed).normal(0, 0.01, 100)
    return [math.exp(-rate * step + noise[step]) for step in range(100)]


def test_the_smallest_proven_change_is_best_and_not_the_lowest_loss() -> None:
    result = trial(
        make_run, [plan("large", Risk.ARCHITECTURE), plan("fast"), plan("slow"), plan("same"), plan("broken")]
    )
    outcomes = {arm.name: arm.outcome for arm in result.arms}
    assert outcomes == {
        "nothing": None,
        "large": Outcome.BETTER,
        "fast": Outcome.BETTER,
        "slow": Outcome.WORSE,
        "same": Outcome.NO_EVIDENCE,
        "broken": Outcome.BROKEN,
    }
    assert result.best is not None
    assert result.best.name == "fast"
    assert result.arms[0].role is Role.CONTROL


def test_nothing_is_best_when_nothing_is_proven() -> None:
    assert trial(make_run, [plan("slow"), plan("broken")]).best is None


def test_one_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="expected at least two"):
        trial(make_run, [plan("fast")], seeds=[0])
