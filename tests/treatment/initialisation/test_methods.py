"""Every method against torch's own, against closed forms, and against what it promises."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad import init_
from evengrad.errors import UsageError
from evengrad.theory import as_activation, edge_of_chaos
from evengrad.treatment.initialisation.initialise import methods
from tests.treatment.initialisation.nets import Residual, cnn, mlp


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layer", [nn.Linear(40, 70), nn.Conv2d(6, 9, 3), nn.Conv1d(5, 8, 4, dilation=2)])
def test_xavier_is_torchs_to_the_bit(layer: nn.Module) -> None:
    init_(layer, "xavier", generator=seeded())
    weight = layer.get_parameter("weight").detach()
    expected = nn.init.xavier_uniform_(torch.empty_like(weight), generator=seeded())
    assert torch.equal(weight, expected)
    assert not layer.get_parameter("bias").any()


@pytest.mark.parametrize(("module", "slope"), [(nn.ReLU(), 0.0), (nn.LeakyReLU(0.2), 0.2), (nn.PReLU(init=0.1), 0.1)])
def test_he_is_torchs_to_the_bit(module: nn.Module, slope: float) -> None:
    net = nn.Sequential(nn.Linear(30, 50), module, nn.Linear(50, 2))
    init_(net, "he", generator=seeded())
    weight = net[0].get_parameter("weight").detach()
    expected = nn.init.kaiming_normal_(torch.empty_like(weight), a=slope, generator=seeded())
    assert torch.allclose(weight, expected, rtol=1e-6, atol=0)  # the slope of PReLU is a float32


@pytest.mark.parametrize("shape", [(40, 40), (20, 50), (50, 20)])
def test_orthogonal_is_torchs(shape: tuple[int, int]) -> None:
    layer = nn.Linear(shape[1], shape[0])
    init_(layer, "orthogonal", generator=seeded())
    expected = nn.init.orthogonal_(torch.empty(shape), generator=seeded())
    assert torch.allclose(layer.weight, expected, atol=1e-5)


@pytest.mark.parametrize(
    "layer", [nn.Linear(20, 50), nn.Linear(50, 20), nn.Conv2d(4, 12, 3), nn.Linear(16, 16, dtype=torch.complex64)]
)
def test_orthogonal_weights_are_orthonormal(layer: nn.Module) -> None:
    init_(layer, "orthogonal")
    matrix = layer.get_parameter("weight").detach().flatten(1)
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mH
    assert torch.allclose(small @ small.mH, torch.eye(len(small), dtype=matrix.dtype), atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_delta_orthogonal_convolutions_keep_the_norm_of_any_image(dimensions: int) -> None:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    conv = kind(4, 8, 3, padding=1, groups=2, padding_mode="circular")
    init_(conv, "delta-orthogonal")
    x = torch.randn(2, 4, *[5] * dimensions)
    assert conv(x).norm().item() == pytest.approx(x.norm().item(), rel=1e-5)


def test_delta_orthogonal_tower_keeps_its_gradient_over_a_thousand_tanh_convolutions() -> None:
    net, x = cnn(torch.tanh, 1000, channels=8), torch.randn(2, 3, 4, 4)
    init_(net, "delta-orthogonal", activation="tanh")
    first = net.layers[0](x).detach().requires_grad_()
    h = torch.tanh(first)
    for layer in list(net.layers)[1:]:
        h = torch.tanh(layer(h))
    (h * torch.randn_like(h)).sum().backward()
    assert first.grad is not None
    # q = 0.025: of the unit image only a linear net would keep all; the gradient is to stay within a decade.
    assert abs(math.log10(first.grad.norm().item() / math.sqrt(h.numel()))) < 1


def outputs_of(model: nn.Module, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    handles = [m.register_forward_hook(lambda module, inputs, out: found.append(out)) for m in layers]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("net", [mlp(torch.tanh, 6), cnn(F.gelu, 5), Residual(4)])
def test_lsuv_gives_every_layer_unit_variance(net: nn.Module) -> None:
    x = 7 * torch.randn(16, 3, 6, 6) if isinstance(net.get_submodule("layers.0"), nn.Conv2d) else None
    x = 7 * torch.randn(32, net.get_submodule("head").in_features) + 2 if x is None else x
    report = init_(net, "lsuv", x)
    for output in outputs_of(net, x):
        assert output.var(correction=0).item() == pytest.approx(1, rel=1e-3)
    assert report["head.weight"].std is not None


@pytest.mark.parametrize("net", [mlp(torch.sigmoid, 5), cnn(F.relu, 4)])
def test_data_dependent_gives_every_unit_mean_0_and_variance_1(net: nn.Module) -> None:
    convolutional = isinstance(net.get_submodule("layers.0"), nn.Conv2d)
    x = 3 + 5 * (torch.randn(16, 3, 6, 6) if convolutional else torch.randn(64, 96))
    init_(net, "data-dependent", x)
    for output in outputs_of(net, x):
        units = output.transpose(0, 1).flatten(1)
        assert units.mean(1).abs().max().item() < 1e-3
        assert torch.allclose(units.var(1, correction=0), torch.ones(len(units)), atol=1e-3)


# Where biases make up a twentieth of the variance at most.
CRITICAL_AT = {"tanh": 0.25, "relu": 1.0, "selu": 0.5, "elu": 1.0, "hardtanh": 0.25, "softsign": 0.1}


@pytest.mark.parametrize("name", CRITICAL_AT)
def test_critical_draws_the_variances_of_theory(name: str) -> None:
    net = mlp({"tanh": torch.tanh, "softsign": F.softsign}.get(name) or getattr(F, name), 3, width=400)
    init_(net, "critical", torch.randn(8, 400))
    edge = edge_of_chaos(as_activation(name), CRITICAL_AT[name])
    layer = net.layers[1]
    assert isinstance(layer, nn.Linear)
    assert 400 * layer.weight.var().item() == pytest.approx(edge.weight_variance, rel=3 * math.sqrt(2) / 400)
    assert layer.bias.var().item() == pytest.approx(edge.bias_variance, rel=3 * math.sqrt(2 / 400), abs=1e-12)


def test_critical_cancels_the_mean_of_sigmoid_and_says_so() -> None:
    net = mlp(torch.sigmoid, 3)
    report = init_(net, "critical", torch.randn(8, 96))
    layer = net.layers[1]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.sum(1).abs().max().item() < 1e-4
    assert 96 * layer.weight.var().item() == pytest.approx(22.303, rel=0.1)  # theory page, centred sigmoid
    assert "no critical point" in report["layers.1.weight"].why


def test_residual_needs_a_batch_and_scales_by_the_number_of_branches() -> None:
    net = Residual(9)
    with pytest.raises(UsageError, match="needs a batch"):
        init_(net, "residual")
    report = init_(net, "residual", torch.randn(8, 48))
    assert report["layers.4.second.weight"].gain == pytest.approx(math.sqrt(2) / 3)
    assert report["layers.4.first.weight"].gain == pytest.approx(1)


def test_biases_inside_branches_are_zero() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    report = init_(net, "critical", torch.randn(2, 5, 16))
    assert report["layers.1.linear1.bias"].how == "0"
    assert report["layers.1.linear1.weight"].gain == pytest.approx(1)


def test_fixup_starts_every_block_as_the_identity() -> None:
    net, x = Residual(4), torch.randn(8, 48)
    report = init_(net, "fixup", x)
    assert torch.equal(net.layers[2](x), x)
    assert not net.head.weight.any()
    assert report["layers.0.first.weight"].gain == pytest.approx(4**-0.5)


def test_a_given_gain_overrides_the_methods_own() -> None:
    net = nn.Sequential(nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 300))
    init_(net, "xavier", gain=5 / 3)
    assert net[0].get_parameter("weight").std().item() == pytest.approx(5 / 3 / math.sqrt(300), rel=0.02)


def test_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"unknown method 'kaiming' \(known: critical, data-dependent"):
        init_(nn.Linear(2, 2), "kaiming")


def test_every_method_names_its_source() -> None:
    assert {"xavier", "he", "lecun", "orthogonal", "delta-orthogonal", "critical", "lsuv", "recurrent"} <= set(
        methods()
    )
    for method in methods().values():
        assert "Source:" in (type(method).__doc__ or "")
