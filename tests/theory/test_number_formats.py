"""Floating-point formats, against torch."""

import math

import pytest
import torch

from evengrad.errors import UsageError
from evengrad.theory import loss_scale, number_format, underflow_share

NAMES = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"]


@pytest.mark.parametrize("name", NAMES)
def test_limits_equal_torch_finfo(name: str) -> None:
    found, info = number_format(name), torch.finfo(vars(torch)[name])
    assert found.largest == info.max
    assert found.smallest_normal == info.smallest_normal
    assert found.epsilon == info.eps


@pytest.mark.parametrize("name", [name for name in NAMES if name != "float64"])
def test_underflow_and_smallest_number(name: str) -> None:
    found, dtype = number_format(f"torch.{name}"), vars(torch)[name]
    # Of two equally near numbers the even one wins, which is 0.
    values = (
        torch.tensor([found.smallest, found.underflow, found.underflow * 1.001], dtype=torch.float64).to(dtype).double()
    )
    assert values.tolist() == [found.smallest, 0.0, found.smallest]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_half_ulp_bounds_what_an_update_must_exceed(name: str) -> None:
    found, dtype = number_format(name), vars(torch)[name]
    always_lost, never_lost = found.half_ulp
    weights = torch.linspace(1, 2, 4001, dtype=torch.float64)[:-1].to(dtype).double()

    def changed(share: float) -> torch.Tensor:
        return (weights * (1 + share)).to(dtype).double() != weights

    assert not changed(always_lost * 0.999).any()
    assert changed(never_lost * 1.001).all()
    assert 0 < changed((always_lost + never_lost) / 2).double().mean() < 1


def test_published_constants() -> None:
    assert number_format("bfloat16").half_ulp == (2.0**-9, 2.0**-8)
    assert number_format("float16").underflow == 2.0**-25
    assert number_format("float16").largest == 65504


@pytest.mark.parametrize("largest", [1e-6, 0.3, 1.0, 70_000.0])
def test_loss_scale_is_the_largest_power_of_two_that_fits(largest: float) -> None:
    """Micikevicius et al., ICLR 2018."""
    half = number_format("float16")
    scale = loss_scale(half, largest)
    assert math.log2(scale).is_integer()
    assert scale * largest <= half.largest < 2 * scale * largest


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_loss_scale_needs_a_gradient(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected a positive finite gradient"):
        loss_scale(number_format("float16"), wrong)


def test_underflow_share_equals_that_of_a_sample() -> None:
    """400 000 entries: four standard errors."""
    half, rms = number_format("float16"), 5e-8
    gradient = (rms * torch.randn(400_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).half()
    share = (gradient == 0).double().mean().item()
    assert underflow_share(half, rms) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 400_000))
    assert underflow_share(half, 0.0) == 1


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown number format 'int8' \(known: float16, bfloat16"):
        number_format("int8")
