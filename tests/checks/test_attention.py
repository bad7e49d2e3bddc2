"""Attention's statistics are what their definitions say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import evengrad
from evengrad.checks.attention import _read, mean_cosine
from evengrad.observation.graph import Operation
from tests.checks.architectures import Gpt, Transformer


def reading(weights):
    return _read(Operation(None, "Softmax", 0, module="a"), weights)


def test_even_attention_has_full_entropy_and_no_dead_row():
    found = reading(torch.full((2, 8, 8), 1 / 8))
    assert found.entropy == pytest.approx(1.0, abs=1e-6)
    assert found.logits == pytest.approx(0.0, abs=1e-5)
    assert found.dead_rows == 0.0


def test_attention_to_single_positions_is_dead():
    found = reading(torch.eye(8).flip(0).expand(2, 8, 8))
    assert found.entropy == pytest.approx(0.0, abs=1e-6)
    assert found.dead_rows == 1.0


def test_causal_attention_is_judged_by_what_it_may_see():
    weights = torch.ones(1, 16, 16).tril()
    found = reading(weights / weights.sum(-1, keepdim=True))
    assert found.entropy == pytest.approx(1.0, abs=1e-6)


def test_spread_of_scores_is_recovered():
    scores = 3 * torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0))
    # A row's spread of 64 scores is known to 9 %; the mean of 256 rows to 0.6 %, and is 0.8 % low (Bessel).
    assert reading(scores.softmax(-1)).logits == pytest.approx(3.0, rel=0.03)


def test_the_mean_cosine_is_that_of_all_pairs():
    tokens = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0))
    pairs = [
        F.cosine_similarity(s[i], s[j], dim=0).item() for s in tokens for i in range(6) for j in range(6) if i != j
    ]
    assert mean_cosine(tokens) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    assert mean_cosine(torch.ones(2, 4, 3)) == pytest.approx(1.0)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_fused_and_plain_attention_are_both_read(dropout):
    torch.manual_seed(0)
    result = evengrad.check(lambda: Transformer(2, norm_first=True, dropout=dropout), torch.randn(8, 8, 8), seeds=1)
    assert len(result.attention) == 2
    assert all(0.8 < one.entropy <= 1.0 for one in result.attention)
    assert result.transformer is not None
    assert not math.isnan(result.transformer.query_key)


def test_fused_attention_is_recomputed_as_it_was():
    """GPT's causal attention, against the same weights taken by hand."""
    torch.manual_seed(0)
    model = Gpt(1)
    model.h[0].c_attn.weight.data.mul_(40)
    tokens = torch.randint(16, (2, 12))
    result = evengrad.check(model, tokens, seeds=1)
    block = model.h[0]
    x = model.wte(tokens) + model.wpe(torch.arange(12))
    query, key, _ = (part.view(2, 12, 4, 8).transpose(1, 2) for part in block.c_attn(block.ln_1(x)).chunk(3, -1))
    scores = (query @ key.transpose(-1, -2) / math.sqrt(8)).masked_fill(torch.ones(12, 12).triu(1).bool(), -math.inf)
    assert result.attention[0].entropy == pytest.approx(
        reading(scores.softmax(-1).flatten(0, 1).detach()).entropy, rel=1e-4
    )


def test_no_attention_no_reading():
    assert evengrad.check(nn.Linear(4, 2), seeds=1).transformer is None
