"""What an initialisation leaves alone, and what it refuses."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from evengrad import init_
from evengrad.errors import UsageError
from evengrad.treatment.initialisation.initialise import methods
from evengrad.treatment.initialisation.report import Action
from tests.treatment.initialisation.nets import Residual, mlp


def test_frozen_parameters_stay_and_are_named() -> None:
    net = mlp(torch.tanh, 2)
    net.layers[0].requires_grad_(False)
    before = net.get_parameter("layers.0.weight").clone()
    report = init_(net, "he", torch.randn(4, 96))
    assert torch.equal(net.get_parameter("layers.0.weight"), before)
    assert (report["layers.0.weight"].action, report["layers.0.weight"].why) == (Action.LEFT, "frozen")


def test_normalisations_slopes_and_unknown_parameters_stay() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.norm, self.slope = nn.Parameter(torch.rand(4)), nn.GroupNorm(2, 4), nn.PReLU()
            self.layer = nn.Linear(4, 4)

    net = Own()
    before = {name: p.detach().clone() for name, p in net.named_parameters() if not name.startswith("layer")}
    report = init_(net, "lecun")
    for name, old in before.items():
        assert torch.equal(net.get_parameter(name), old)
        assert report[name].action is Action.LEFT
    assert "no layer that evengrad knows" in report["scale"].why


def test_integers_stay() -> None:
    net = nn.Linear(4, 4, bias=False)
    net.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    assert "quantised" in init_(net, "lecun")["weight"].why


def test_tied_weights_are_drawn_once_as_what_they_are_multiplied_as() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.norm = nn.Embedding(30, 64), nn.LayerNorm(64)
            self.head = nn.Linear(64, 30, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(self.embedding(x)))

    net = Tied()
    report = init_(net, "critical", torch.randint(30, (4, 5)))
    assert report["embedding.weight"].why == "tied to head.weight, drawn there"
    assert net.embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.1)


def test_padding_row_stays_zero() -> None:
    table = nn.Embedding(10, 8, padding_idx=3)
    init_(table, "xavier")
    assert not table.weight[3].any()
    assert table.weight[4].any()


def test_zeros_on_purpose_stay() -> None:
    net = Residual(3)
    for block in net.layers:
        nn.init.zeros_(block.get_parameter("second.weight"))
    nn.init.zeros_(net.head.weight)
    report = init_(net, "critical", torch.randn(8, 48))
    assert "residual branch starts at 0" in report["layers.1.second.weight"].why
    assert "head" in report["head.weight"].why
    assert not net.head.weight.any()
    assert net.get_parameter("layers.1.first.weight").any()


@pytest.mark.parametrize("method", ["critical", "lsuv", "data-dependent"])
def test_bias_that_a_head_was_given_on_purpose_stays(method: str) -> None:
    net, x = mlp(torch.tanh, 2), torch.randn(64, 96)
    net.head.bias = nn.Parameter(torch.full((10,), 500.0))
    nn.init.constant_(net.get_parameter("layers.0.bias"), -30.0)  # a fault, not a purpose
    report = init_(net, method, x)
    assert net.get_parameter("layers.0.bias").abs().max() < 5
    with torch.no_grad():
        output = net(x)
    assert output.mean().item() == pytest.approx(500, abs=1)
    assert output.std().item() == pytest.approx(1, abs=0.2) or method == "critical"
    if method != "data-dependent":
        assert torch.equal(net.head.bias, torch.full((10,), 500.0))
        assert "on purpose" in report["head.bias"].why


def test_up_projection_of_lora_stays_zero() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(8, 8).requires_grad_(False)
            self.lora_A, self.lora_B = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
            nn.init.zeros_(self.lora_B.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.base(x) + self.lora_B(self.lora_A(x))

    net = Adapted()
    report = init_(net, "critical", torch.randn(4, 8))
    assert "LoRA" in report["lora_B.weight"].why
    assert not net.lora_B.weight.any()
    assert report["lora_A.weight"].action is Action.DRAWN


def test_zeros_everywhere_are_the_fault_and_are_drawn() -> None:
    net = mlp(torch.tanh, 2)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    init_(net, "critical", torch.randn(4, 96))
    assert all(parameter.any() for name, parameter in net.named_parameters() if name.endswith("weight"))


def test_only_the_modules_asked_for_are_drawn() -> None:
    net = mlp(torch.tanh, 3)
    before = [p.detach().clone() for p in net.layers[2].parameters()]
    report = init_(net, "lecun", modules=["layers.0", "layers.1"])
    assert all(torch.equal(a, b) for a, b in zip(before, net.layers[2].parameters(), strict=True))
    assert "not among" in report["layers.2.weight"].why
    with pytest.raises(UsageError, match=r"has no module `layers\.9`"):
        init_(net, "lecun", modules=["layers.9"])


def test_parameters_without_storage_are_refused() -> None:
    with pytest.raises(UsageError, match="`weight`, `bias`: parameters are lazy"):
        init_(nn.LazyLinear(3))
    with pytest.raises(UsageError, match="meta device"):
        init_(nn.Linear(3, 3, device="meta"))


def test_batch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="does not take the batch"):
        init_(mlp(torch.tanh, 2), "critical", (torch.randn(4, 96), torch.zeros(4)))


def test_parametrised_weights_get_the_variance_that_was_asked_for() -> None:
    net = nn.Sequential(parametrizations.weight_norm(nn.Linear(200, 200)), nn.ReLU(), nn.Linear(200, 2))
    report = init_(net, "he")
    weight = net[0].weight
    assert isinstance(weight, Tensor)
    assert weight.std().item() == pytest.approx(0.1, rel=0.03)
    assert "WeightNorm" in report["0.weight"].why
    lsuv = init_(net, "lsuv", 5 * torch.randn(64, 200))
    assert lsuv["0.weight"].gain == pytest.approx(0.2, rel=0.05)


def test_spectral_norm_keeps_its_scale_and_says_so() -> None:
    net = nn.Sequential(parametrizations.spectral_norm(nn.Linear(8, 8)), nn.Tanh(), nn.Linear(8, 2))
    assert "sets the scale" in init_(net, "he")["0.weight"].why
    assert "sets the scale" in init_(net, "lsuv", torch.randn(32, 8))["0.weight"].why


class Stochastic(nn.Module):
    """Draws, counts and normalises in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + random.random()


@pytest.mark.parametrize("method", sorted(methods()))
def test_nothing_but_weights_changes(method: str) -> None:
    net = Stochastic()
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    identities = [id(p) for p in net.parameters()]
    state, plain_state = torch.get_rng_state(), random.getstate()
    init_(net, method, torch.randn(16, 6, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == plain_state
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in net.named_buffers())
    assert identities == [id(p) for p in net.parameters()]
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert all(p.grad is None and p.requires_grad and p.is_leaf for p in net.parameters())
    assert not any("evengrad" in key for module in net.modules() for key in vars(module))


def weights(seed: int, generator: torch.Generator | None = None) -> Tensor:
    torch.manual_seed(seed)
    net = mlp(torch.tanh, 2)
    init_(net, "critical", generator=generator)
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_manual_seed_or_a_generator_fixes_the_weights() -> None:
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    assert torch.equal(weights(1, generators[0]), weights(2, generators[1]))


def test_weights_do_not_repeat_the_users_next_numbers() -> None:
    torch.manual_seed(1)
    net = nn.Linear(50, 50)
    state = torch.get_rng_state()
    init_(net, "lecun")
    torch.set_rng_state(state)
    upcoming = torch.randn(50, 50)
    assert abs(torch.corrcoef(torch.stack([net.weight.detach().flatten(), upcoming.flatten()]))[0, 1].item()) < 0.08
