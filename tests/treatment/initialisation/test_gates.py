"""Recurrent layers: hidden matrices, gate biases, and the gradient through time that they give."""

import math

import pytest
import torch
from torch import Tensor, nn

from evengrad import init_

KINDS = {"LSTM": (nn.LSTM, 4), "GRU": (nn.GRU, 3), "RNN": (nn.RNN, 1)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["recurrent", "xavier", "lsuv"])
def test_hidden_matrices_are_orthogonal_gate_by_gate(kind: str, method: str) -> None:
    build, gates = KINDS[kind]
    net = build(12, 16, num_layers=2, bidirectional=True)
    init_(net, method, torch.randn(5, 3, 12))
    for name in ("weight_hh_l0", "weight_hh_l1_reverse"):
        for block in net.get_parameter(name).detach().view(gates, 16, 16):
            product = block @ block.T
            assert torch.allclose(product, product[0, 0] * torch.eye(16), atol=1e-5)


def test_input_matrices_have_the_fan_of_one_gate() -> None:
    net = nn.LSTM(100, 64)
    report = init_(net, "lecun")
    assert report["weight_ih_l0"].fan == 100
    assert net.weight_ih_l0.std().item() == pytest.approx(0.1, rel=0.03)


def test_a_batch_does_not_rescale_gates() -> None:
    net = nn.GRU(100, 64)
    init_(net, "lsuv", 10 * torch.randn(5, 3, 100))
    for block in net.weight_ih_l0.detach().view(3, 64, 100):
        assert torch.allclose(block @ block.T, torch.eye(64), atol=1e-4)


def test_forget_gate_starts_open() -> None:
    net = nn.LSTM(4, 8)
    init_(net, "recurrent")
    total = (net.bias_ih_l0 + net.bias_hh_l0).detach().view(4, 8)
    assert torch.allclose(total[1], torch.ones(8))
    assert not total[[0, 2, 3]].any()


def test_horizon_spreads_the_time_scales() -> None:
    net = nn.LSTM(4, 400)
    report = init_(net, "recurrent", horizon=50)
    total = net.bias_ih_l0.detach().view(4, 400)
    spans = total[1].exp()
    assert 1 <= spans.min().item() < 2
    assert 46 < spans.max().item() <= 49.001
    assert spans.mean().item() == pytest.approx(25, rel=3 * 0.56 / math.sqrt(400))
    assert torch.equal(total[0], -total[1])
    assert "50 steps" in report["bias_ih_l0"].why


@pytest.mark.parametrize("batch_first", [True, False])
def test_horizon_is_read_from_the_batch(batch_first: bool) -> None:
    net = nn.GRU(4, 8, batch_first=batch_first)
    report = init_(net, "critical", torch.randn((3, 40, 4) if batch_first else (40, 3, 4)))
    assert "40 steps" in report["bias_ih_l0"].why
    assert net.bias_ih_l0.detach().view(3, 8)[1].min() >= 0


def test_relu_recurrence_starts_as_the_identity() -> None:
    net = nn.RNN(4, 8, nonlinearity="relu")
    init_(net, "recurrent")
    assert torch.equal(net.weight_hh_l0.detach(), torch.eye(8))


def rate_through_time(net: nn.RNN | nn.LSTM, x: Tensor) -> float:
    """Return decades per step back of the gradient that the last output sends to the input."""
    x = x.clone().requires_grad_()
    out = net(x)[0][-1]
    (grad,) = torch.autograd.grad((out * torch.randn_like(out)).sum(), x)
    norms = grad.flatten(1).norm(dim=1).log10()
    return float(norms[10] - norms[-10]) / (len(x) - 20)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tanh_recurrence_keeps_its_gradient_through_time(seed: int) -> None:
    torch.manual_seed(seed)
    net, x = nn.RNN(32, 128), torch.randn(60, 8, 32)
    before = rate_through_time(net, x)
    init_(net, "recurrent", x)
    assert before < -0.15  # torch's default loses 0.27 decades per step
    assert abs(rate_through_time(net, x)) < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lstm_remembers_over_its_horizon(seed: int) -> None:
    torch.manual_seed(seed)
    net, x = nn.LSTM(32, 128), torch.randn(100, 4, 32)
    before = rate_through_time(net, x)
    init_(net, "recurrent", x)
    assert before < -0.15
    assert abs(rate_through_time(net, x)) < 0.03  # 3 decades over 100 steps can be learned through


def test_other_layers_stay_under_the_recurrent_method() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.GRUCell(4, 4))
    before = net[0].get_parameter("weight").clone()
    report = init_(net, "recurrent")
    assert torch.equal(net[0].get_parameter("weight"), before)
    assert report["0.weight"].why == "not recurrent"
    assert report["1.weight_hh"].how == "orthogonal"
