"""Fused norms against a loop in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evengrad.observation.norms import fused_norms


def _by_loop(tensors: list[Tensor | None]) -> list[float]:
    return [
        math.nan if t is None else float(t.to_dense().to(torch.complex128).abs().square().sum().sqrt()) for t in tensors
    ]


def test_norms_equal_a_loop_for_every_kind_of_tensor() -> None:
    torch.manual_seed(0)
    tensors: list[Tensor | None] = [
        torch.randn(7, 5),
        None,
        torch.randn(3, dtype=torch.float64),
        torch.randn(9).to(torch.bfloat16),
        torch.randn(4, 4, dtype=torch.complex64),
        torch.sparse_coo_tensor(torch.tensor([[0, 2, 2]]), torch.randn(3, 2), (4, 2), check_invariants=True).coalesce(),
        torch.zeros(5),
        torch.randn(8, 6).t(),
    ]
    measured = fused_norms(tensors).values()
    assert measured == pytest.approx(_by_loop(tensors), rel=1e-3, nan_ok=True)


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e25, 3e30])
def test_squares_that_leave_float32_are_taken_in_float64(size: float) -> None:
    tensor = torch.full((100,), size)
    assert fused_norms([tensor]).values() == pytest.approx([10 * size], rel=1e-5)


def test_non_finite_entries_are_not_hidden() -> None:
    values = fused_norms([torch.tensor([1.0, math.inf]), torch.tensor([math.nan, 1.0]), torch.ones(4)]).values()
    assert values[0] == math.inf
    assert math.isnan(values[1])
    assert values[2] == 2.0
