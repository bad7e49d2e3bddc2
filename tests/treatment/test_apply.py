"""Carrying out plans and taking them back."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from evengrad import apply
from evengrad.core.discover import catalogue
from evengrad.core.plan import Act, Plan
from evengrad.errors import TreatmentError
from tests.treatment.programs import Functional, assert_same, data, plan, steps, weights

PLANS = {
    "initialise": plan(Act.INITIALISE, method="he"),
    "initialise by batch": plan(Act.INITIALISE, method="lsuv"),
    "activate": plan(Act.ACTIVATE, "layers.0:sigmoid", "layers.1:sigmoid", to="prelu"),
    "clip": plan(Act.CLIP, kind="norm", threshold=0.001),
    "optimize": plan(Act.OPTIMIZE, lr=0.5, momentum=0.5),
    "warm-up": plan(Act.WARM_UP, steps=10),
    "penalise": plan(Act.PENALISE, coefficient=0.1),
    "normalise": plan(Act.NORMALISE, kind="batch"),
    "skip": plan(Act.SKIP, "layers.0", "layers.1", scale=0.5),
    "scale": plan(Act.SCALE, what="input", mean=1.0, std=3.0),
}


def test_every_act_has_a_plan_here() -> None:
    assert {name.split(" ", maxsplit=1)[0] for name in PLANS} == set(catalogue("evengrad.treatment.acts"))


def states() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def hooks(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    tables = [t for m in model.modules() for t in (m._forward_hooks, m._forward_pre_hooks)]
    return sum(map(len, [*tables, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]))


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_revert_is_bit_identical_after_training(name: str, kind: type[torch.optim.Optimizer]) -> None:
    if name == "optimize" and kind is torch.optim.Adam:
        pytest.skip("Adam has no momentum")
    model = Functional()
    optimizer = kind(model.parameters(), lr=0.1)
    steps(model, optimizer)
    before, state, random_states = weights(model), copy.deepcopy(optimizer.state_dict()), states()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    objects, groups = list(map(id, model.parameters())), id(optimizer.param_groups[0])
    applied = apply(PLANS[name], model, optimizer, batch=data()[0])
    changed = steps(model, optimizer, 4)
    applied.revert()
    assert hooks(model, optimizer) == 0
    assert_same(weights(model), before)
    assert (list(map(id, model.parameters())), id(optimizer.param_groups[0])) == (objects, groups)
    assert [p.grad is not None for p in model.parameters()] == [True] * len(objects)
    assert_same([p.grad.clone() for p in model.parameters() if p.grad is not None], gradients)
    assert states() == random_states
    now = optimizer.state_dict()
    assert str(now["param_groups"]) == str(state["param_groups"])
    for key, values in state["state"].items():
        for entry, value in values.items():
            assert torch.equal(torch.as_tensor(now["state"][key][entry]), torch.as_tensor(value))
    again = steps(model, optimizer, 4)
    assert again != changed  # the plan did something, and does it no more
    applied.revert()  # a second call does nothing
    assert steps(model, optimizer, 1) != again[:1]


def test_reverted_training_goes_on_as_if_nothing_had_been() -> None:
    runs = []
    for treated in (False, True):
        torch.manual_seed(0)
        model = Functional()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        first = steps(model, optimizer)
        if treated:
            applied = [
                apply(PLANS[name], model, optimizer, batch=data()[0]) for name in ("normalise", "clip", "warm-up")
            ]
            steps(model, optimizer)
            for one in reversed(applied):
                one.revert()
        runs.append((first, steps(model, optimizer)))
    assert runs[0] == runs[1]


def test_all_or_nothing() -> None:
    model = Functional()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = weights(model)
    both = PLANS["initialise"].plus(plan(Act.CLIP, kind="norm", threshold=float("inf")))
    with pytest.raises(TreatmentError, match="positive clipping threshold"):
        apply(both, model, optimizer)
    assert_same(weights(model), before)
    assert hooks(model, optimizer) == 0


@pytest.mark.parametrize("act", [Act.GUARD, Act.PRECISION, Act.REORDER, Act.RECONNECT])
def test_what_only_source_can_change_is_refused(act: Act) -> None:
    with pytest.raises(TreatmentError, match="needs the source changed"):
        apply(plan(act), nn.Linear(2, 2))


def test_the_empty_plan_changes_nothing() -> None:
    model = Functional()
    before = weights(model)
    apply(Plan(), model).revert()
    assert_same(weights(model), before)


def test_acts_on_steps_need_an_optimizer() -> None:
    with pytest.raises(TreatmentError, match=r"apply\(plan, model, optimizer\)"):
        apply(PLANS["clip"], nn.Linear(2, 2))
