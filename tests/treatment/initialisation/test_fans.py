"""Fans of every kind of layer, against the variance that comes out (Monte Carlo)."""

import pytest
import torch
from torch import Tensor, nn

from evengrad import init_
from evengrad.treatment.initialisation.layers import layers_of

LAYERS = {
    "linear": (nn.Linear(64, 50), (64, 64)),
    "conv1d": (nn.Conv1d(16, 32, 5), (8, 16, 40)),
    "conv2d": (nn.Conv2d(12, 24, 3), (8, 12, 12, 12)),
    "conv3d": (nn.Conv3d(6, 24, 3), (4, 6, 7, 7, 7)),
    "groups": (nn.Conv2d(16, 32, 3, groups=4), (8, 16, 12, 12)),
    "depthwise": (nn.Conv2d(32, 64, 3, groups=32), (8, 32, 12, 12)),
    "dilated": (nn.Conv2d(12, 24, 3, dilation=2), (8, 12, 14, 14)),
    "strided": (nn.Conv2d(12, 24, 3, stride=2), (8, 12, 19, 19)),
    "transposed": (nn.ConvTranspose2d(12, 24, 4, stride=2), (8, 12, 24, 24)),
    "transposed, groups": (nn.ConvTranspose2d(16, 32, 4, stride=2, groups=2), (8, 16, 24, 24)),
    "transposed, unequal": (nn.ConvTranspose1d(16, 32, 6, stride=3), (16, 16, 60)),
    "embedding": (nn.Embedding(40, 64), None),
}


@pytest.mark.parametrize("name", LAYERS)
def test_unit_variance_comes_out_of_unit_variance(name: str) -> None:
    layer, shape = LAYERS[name]
    init_(layer, "lecun", generator=torch.Generator().manual_seed(1))
    x = torch.randint(40, (64,)) if shape is None else torch.randn(shape)
    with torch.no_grad():
        y: Tensor = layer(x)
    if isinstance(layer, nn.ConvTranspose2d):
        y = y[..., 4:-4, 4:-4]  # at the rim fewer inputs reach an output
    elif isinstance(layer, nn.ConvTranspose1d):
        y = y[..., 6:-6]
    weight = next(layer.parameters())
    assert y.var().item() == pytest.approx(1, rel=3 * (2 / weight.numel()) ** 0.5 + 0.05)


def test_bilinear_sums_over_pairs() -> None:
    layer = nn.Bilinear(20, 30, 50)
    init_(layer, "lecun")
    with torch.no_grad():
        y = layer(torch.randn(200, 20), torch.randn(200, 30))
    assert y.var().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("name", ["linear", "conv2d", "groups", "strided", "transposed"])
def test_fan_out_keeps_the_gradient(name: str) -> None:
    """With variance 1 / fan_out, a random gradient of variance 1 comes back with variance 1."""
    layer, shape = LAYERS[name]
    assert shape is not None
    (found,) = layers_of("", layer)
    with torch.no_grad():
        layer.get_parameter("weight").normal_(0, found.fan_out**-0.5)
    x = torch.randn(shape, requires_grad=True)
    y = layer(x)
    (grad,) = torch.autograd.grad((y * torch.randn_like(y)).sum(), x)
    inner = grad if grad.dim() == 2 else grad[..., 4:-4, 4:-4]
    assert inner.var().item() == pytest.approx(1, rel=0.12)


def test_query_key_and_value_have_a_fan_each() -> None:
    attention = nn.MultiheadAttention(96, 4)
    report = init_(attention, "lecun")
    assert report["in_proj_weight"].fan == 96
    assert attention.in_proj_weight is not None
    assert attention.in_proj_weight.std().item() == pytest.approx(96**-0.5, rel=0.02)


def test_unequal_key_and_value_sizes_have_fans_of_their_own() -> None:
    report = init_(nn.MultiheadAttention(32, 4, kdim=20, vdim=50), "lecun")
    assert [report[f"{name}_proj_weight"].fan for name in "qkv"] == [32, 20, 50]
    assert report["in_proj_bias"].how == "0"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
@pytest.mark.parametrize("method", ["xavier", "he", "orthogonal", "critical"])
def test_variance_holds_in_every_number_format(dtype: torch.dtype, method: str) -> None:
    layer = nn.Linear(128, 128, dtype=dtype)
    report = init_(layer, method)
    weight = layer.weight.detach()
    exact = weight.to(torch.complex128 if dtype.is_complex else torch.float64)
    assert weight.dtype is dtype
    asked = report["weight"].std
    assert asked is not None
    assert exact.abs().square().mean().sqrt().item() == pytest.approx(asked, rel=0.03)
