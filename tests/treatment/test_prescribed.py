"""From a watched run to a repaired one without leaving the process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import evengrad
from evengrad.cases._data import clusters
from evengrad.cases.deep_relu_default_init import Deep
from evengrad.cases.deep_sigmoid_mlp import Classifier
from tests.treatment.programs import assert_same, weights

MODELS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "sigmoid": (lambda: Classifier(nn.Sigmoid), 0.05),
    "relu": (Deep, 0.003),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_prescribed_can_be_tried_in_place(name: str) -> None:
    build, rate = MODELS[name]
    torch.manual_seed(0)
    samples, model = clusters(0), build()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def train(count: int) -> float:
        for _ in range(count):
            x, y = samples.batch()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    with evengrad.watch(model, optimizer) as monitor:
        train(40)
    plans = evengrad.prescribe(evengrad.diagnose(monitor.trace()))
    assert len(plans) >= 4
    before = weights(model)
    losses: list[float] = []
    for plan in plans[:4]:
        applied = evengrad.apply(plan, model, optimizer, batch=samples.x[:64])
        losses.append(train(120))
        applied.revert()
        assert_same(weights(model), before)
    assert losses[0] < 1  # the first one prescribed
    assert train(60) > 2
