"""What stands before and after each layer: as a batch shows it, and as the order of modules lets one guess."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad import init_
from evengrad.theory import as_activation
from evengrad.treatment.initialisation.inventory import take_inventory
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side
from evengrad.treatment.initialisation.tracing import wiring_by_batch
from tests.treatment.initialisation.nets import Residual, mlp


def around(model: nn.Module, batch: object, name: str) -> Neighbourhood:
    wiring = wiring_by_batch(model, take_inventory(model, None).all_layers, batch)  # type: ignore[arg-type]
    return wiring.around[id(model.get_parameter(name))]


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + torch.exp(-x))


CALLS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "function": (F.relu, "relu"),
    "torch function": (torch.relu, "relu"),
    "method": (lambda x: x.tanh(), "tanh"),
    "in place": (lambda x: x.relu_(), "relu"),
    "with a positional parameter": (lambda x: F.leaky_relu(x, 0.3), "leaky_relu(negative_slope=0.3)"),
    "with a keyword": (lambda x: F.gelu(x, approximate="tanh"), "gelu(approximate=tanh)"),
    "of several operations": (F.softsign, "softsign"),
    "clamped": (lambda x: x.clamp(min=0), "relu"),
    "written out": (lambda x: x * torch.sigmoid(x), "silu"),
    "module": (nn.ELU(alpha=0.5), "elu(alpha=0.5)"),
    "module of the user's": (Swish(), "Swish"),
    "after dropout": (lambda x: torch.tanh(F.dropout(x, 0.1)), "tanh"),
}


@pytest.mark.parametrize("name", CALLS)
def test_activation_is_found_however_it_is_called(name: str) -> None:
    call, label = CALLS[name]
    found = around(mlp(call, 2), torch.randn(4, 96), "layers.1.weight")
    assert found.before is Side.ACTIVATION
    assert found.reads is not None
    assert found.feeds is not None
    assert found.reads.label == found.feeds.label == label


def test_measured_activation_of_the_users_has_the_right_gain() -> None:
    report = init_(mlp(Swish(), 2), "critical", torch.randn(4, 96))
    assert report["layers.1.weight"].gain == pytest.approx(
        init_(mlp(F.silu, 2), "critical", torch.randn(4, 96))["layers.1.weight"].gain, rel=1e-6
    )


def test_data_normalisation_gates_and_heads_are_told_apart() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.gate, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
            self.norm, self.out, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.stem(x))
            return torch.sigmoid(self.head(self.out(F.gelu(self.gate(x)) * self.value(x))))

    sides = {n: around(Net(), torch.randn(4, 8), f"{n}.weight") for n in ("stem", "gate", "value", "out", "head")}
    assert (sides["stem"].before, sides["stem"].after) == (Side.DATA, Side.NORMALISATION)
    assert sides["gate"].before is Side.NORMALISATION
    assert sides["value"].after is Side.PRODUCT
    assert (sides["out"].before, sides["out"].after) == (Side.PRODUCT, Side.LAYER)
    assert [name for name, found in sides.items() if found.is_head] == ["head"]


@pytest.mark.parametrize(("norm", "count", "normalised"), [("nowhere", 6, False), ("before", 6, False),
                                                           ("inside", 6, True), ("after", 1, False)])  # fmt: skip
def test_branches_on_one_stream_are_counted(norm: str, count: int, normalised: bool) -> None:
    net = Residual(6, norm=norm)
    found = around(net, torch.randn(8, 48), "layers.3.second.weight").branch
    assert found is not None
    assert (found.count, found.depth, found.ends, found.normalised) == (count, 2, True, normalised)
    first = around(net, torch.randn(8, 48), "layers.3.first.weight").branch
    assert first is not None
    assert not first.ends


def test_transformer_counts_two_branches_per_block() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
    net = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    for name in ("layers.0.self_attn.out_proj.weight", "layers.2.linear2.weight"):
        branch = around(net, torch.randn(2, 5, 16), name).branch
        assert branch is not None
        assert (branch.count, branch.ends) == (6, True)


def test_frozen_layers_show_too() -> None:
    net = mlp(torch.tanh, 3)
    net.requires_grad_(False)
    net.head.requires_grad_(True)
    assert around(net, torch.randn(4, 96), "layers.1.weight").feeds is as_activation("tanh")
    assert not any(p.requires_grad for p in net.layers.parameters())


def test_size_of_the_data_is_measured() -> None:
    report = init_(mlp(torch.tanh, 2), "critical", 50 * torch.randn(64, 96))
    gain = report["layers.0.weight"].gain
    assert gain is not None
    assert 50 * gain == pytest.approx(math.sqrt(0.25 * (1 - 0.033)), rel=0.05)


X = torch.randn(4, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("batch", [X, (X,), {"x": X}, lambda model: model(X).sum()])
def test_batch_may_be_given_in_any_form(batch: object) -> None:
    assert init_(mlp(torch.tanh, 2), "critical", batch).seen == "one batch"  # type: ignore[arg-type]


def test_order_of_a_sequential_is_the_flow() -> None:
    first = [nn.Linear(9, 9), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 9)]
    net = nn.Sequential(*first, nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 2))
    report = init_(net, "critical")
    assert report["1.weight"].why == "reads a layer, no activation between"
    assert report["3.weight"].why == "critical for tanh"
    assert report["6.weight"].why.startswith("output head")


@pytest.mark.parametrize(("given", "words"), [(None, "relu assumed"), ("tanh", "tanh as given")])
def test_activation_that_does_not_show_is_assumed_and_said(given: str | None, words: str) -> None:
    report = init_(mlp(torch.tanh, 3), "critical", activation=given)
    assert words in report.seen
    assert report["layers.1.weight"].why.startswith("assumed: ")


def test_shared_activation_module_is_assumed_between_layers() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.act = nn.ModuleList(nn.Linear(5, 5) for _ in range(3)), nn.SELU()

    report = init_(Shared(), "critical")
    assert "selu assumed" in report.seen


def test_table_can_be_read() -> None:
    lines = str(init_(mlp(torch.sigmoid, 2), "critical", torch.randn(4, 96))).splitlines()
    assert lines[0].startswith("critical: 5 drawn, 1 set; surroundings: one batch")
    assert max(map(len, lines)) <= 140
    assert any(line.startswith("layers.1.weight  96x96") for line in lines)


@pytest.mark.parametrize("layout", ["x @ w", "F.linear", "addmm", "w @ x"])
def test_layers_of_bare_parameters_have_the_right_fan(layout: str) -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first_is_out = layout in ("F.linear", "w @ x")
            self.first = nn.Linear(50, 50)
            self.w = nn.Parameter(torch.ones(90, 50) if first_is_out else torch.ones(50, 90))
            self.b = nn.Parameter(torch.ones(90))
            self.head = nn.Linear(90, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.first(x))
            match layout:
                case "x @ w":
                    x = x @ self.w + self.b
                case "F.linear":
                    x = F.linear(x, self.w, self.b)
                case "addmm":
                    x = torch.addmm(self.b, x, self.w)
                case _:
                    x = (self.w @ x.T).T
            return self.head(torch.relu(x))

    net = Bare()
    report = init_(net, "critical", torch.randn(8, 50))
    assert report["w"].fan == 50
    assert net.w.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.05)
    if layout in ("F.linear", "addmm"):
        assert not net.b.any()
    orthogonal = init_(net, "orthogonal", torch.randn(8, 50))
    assert orthogonal["w"].how == "orthogonal"
    small = net.w.detach() if net.w.shape[0] == 50 else net.w.detach().T
    assert torch.allclose(small @ small.T, 2 * torch.eye(50), atol=1e-4)


def test_bare_parameters_stay_without_a_batch_or_when_frozen() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(4, 4), requires_grad=False)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x @ self.w)

    net = Bare()
    assert init_(net, "lecun", torch.randn(3, 4))["w"].why == "frozen"
    net.w.requires_grad_(True)
    assert "no layer that evengrad knows" in init_(net, "lecun")["w"].why
    assert torch.equal(net.w.detach(), torch.ones(4, 4))


def test_wrapped_models_are_drawn_as_what_they_wrap() -> None:
    net = mlp(torch.tanh, 2)
    report = init_(torch.compile(net, backend="eager"), "critical", torch.randn(4, 96))
    assert report["layers.1.weight"].why == "critical for tanh"


def test_what_a_batch_does_not_reach_goes_by_the_order_of_modules() -> None:
    @dataclasses.dataclass
    class Output:
        logits: Tensor

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = mlp(torch.tanh, 2)
            self.spare = nn.Sequential(nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 9))

        def forward(self, x: Tensor) -> Output:
            return Output(self.used(x))

    report = init_(Part(), "critical", torch.randn(4, 96))
    assert report["used.layers.1.weight"].why == "critical for tanh"
    assert report["spare.2.weight"].why == "critical for relu; not seen in the batch: by the order of modules"
