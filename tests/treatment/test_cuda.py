"""On a GPU: the weights of the CPU, and the same clipping."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evengrad import apply, init_
from evengrad.core.plan import Act
from tests.treatment.programs import Functional, assert_same, data, plan, steps, weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("method", ["xavier", "critical", "orthogonal", "delta-orthogonal", "recurrent"])
def test_weights_do_not_depend_on_the_device(method: str) -> None:
    drawn = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        net = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.LSTM(4, 8)]).to(device)
        init_(net, method, generator=torch.Generator().manual_seed(1))
        drawn.append([tensor.cpu() for tensor in weights(net)])
    assert_same(*drawn)


def test_random_state_of_the_device_is_put_back() -> None:
    net, x = Functional().cuda(), data()[0].cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    state = torch.cuda.get_rng_state()
    init_(net, "lsuv", x)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    applied = apply(plan(Act.CLIP, kind="norm", threshold=0.1), net, optimizer)
    torch.rand(3, device="cuda")
    applied.revert()
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert steps(net.cpu(), optimizer)
