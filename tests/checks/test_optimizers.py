from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from evengrad.checks.optimizers import choice_of
from evengrad.errors import UsageError


def test_texts_name_an_optimizer_and_its_rate():
    assert choice_of("adam").words == "Adam lr 0.001"
    assert choice_of("adamw:3e-4").rate == 3e-4
    assert choice_of("sgd:0.1").adaptive is False
    assert choice_of("rmsprop:1e-3").adaptive
    assert math.isnan(choice_of("sgd").rate)
    assert not choice_of(None).named


def test_a_live_optimizer_says_what_it_holds():
    model = nn.Linear(4, 2)
    choice = choice_of(torch.optim.AdamW([model.weight], lr=0.01, eps=1e-7))
    assert (choice.kind, choice.rate, choice.eps) == ("AdamW", 0.01, 1e-7)
    assert choice.held(dict(model.named_parameters())) == {"weight"}


@pytest.mark.parametrize("text", ["sdg:0.1", "adam:fast", "adam:0", "adam:-1", "adam:inf"])
def test_texts_that_mean_nothing_are_refused(text):
    with pytest.raises(UsageError, match=f"--optimizer is '{text}': expected"):
        choice_of(text)
