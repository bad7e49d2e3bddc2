"""Every probe against a slow, obvious twin."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evengrad
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.probes.updates import intended_update

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
}


class Calls(nn.Module):
    """One activation, called, between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor], scale: float) -> None:
        super().__init__()
        self.first, self.second, self.function = nn.Linear(12, 20), nn.Linear(20, 3), function
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.function(self.first(x) * self.scale))


def _watch(
    model: nn.Module,
    x: Tensor,
    *,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    lr: float = 1e-3,
    steps: int = 1,
    loss: Callable[[Tensor], Tensor] = lambda out: out.square().mean(),
) -> Trace:
    chosen = optimizer(model.parameters(), lr=lr)
    with evengrad.watch(model, chosen) as monitor:
        for _ in range(steps):
            chosen.zero_grad()
            loss(model(x)).backward()
            chosen.step()
    assert monitor.failure is None
    return monitor.trace()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_derivatives_equal_autograd_s(name: str, scale: float) -> None:
    torch.manual_seed(0)
    model, x = Calls(ACTIVATIONS[name], scale), torch.randn(64, 12)
    h = (model.first(x) * scale).detach().requires_grad_(True)
    ACTIVATIONS[name](h).sum().backward()
    assert h.grad is not None
    slope = h.grad
    trace = _watch(model, x)
    (site,) = trace.subjects(Statistic.DERIVATIVE_RMS)
    assert trace.get(Statistic.DERIVATIVE_RMS, site).first() == pytest.approx(
        float(slope.square().mean().sqrt()), rel=1e-4
    )
    largest = 0.25 if name == "sigmoid" else 1 / 6 if name == "hardsigmoid" else max(1.0, float(slope.abs().max()))
    by_hand = float((slope.abs() < 0.05 * largest).float().mean())
    # The bound of smooth activations that overshoot 1 is fixed, not the sample's: a few entries may differ.
    assert trace.get(Statistic.SATURATED, site).first() == pytest.approx(by_hand, abs=0.02)


def test_dead_units_are_those_that_pass_nothing_on_any_sample() -> None:
    torch.manual_seed(1)
    model, x = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2)), torch.randn(128, 6)
    with torch.no_grad():
        model[0].bias[:4] = -100.0
    trace = _watch(model, x)
    expected = float((model[0](x) <= 0).all(dim=0).float().mean())
    assert trace.get(Statistic.DEAD, "1").first() == pytest.approx(expected)
    assert trace.get(Statistic.DEAD_SAMPLES, "1").first() == 128


def test_a_convolution_s_dead_units_are_channels() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2))
    with torch.no_grad():
        model[0].bias[:2] = -100.0
    trace = _watch(model, torch.randn(16, 1, 6, 6))
    assert trace.get(Statistic.DEAD, "1").first() == pytest.approx(0.25)
    assert trace.get(Statistic.DEAD_SAMPLES, "1").first() == 16 * 16


def test_layer_inputs_equal_their_definitions() -> None:
    torch.manual_seed(3)
    x = torch.randn(50, 6) * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 40.0]) + 2.0
    trace = _watch(nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)), x)
    wide = x.double()
    assert trace.get(Statistic.INPUT_RMS, "0").first() == pytest.approx(float(wide.square().mean().sqrt()))
    assert trace.get(Statistic.INPUT_MAX, "0").first() == pytest.approx(float(wide.abs().max()))
    assert trace.get(Statistic.INPUT_MEAN, "0").first() == pytest.approx(float(wide.mean()))
    share = wide.var(dim=0, correction=0).mean() / wide.square().mean()
    assert trace.get(Statistic.DISTINGUISHABILITY, "0").first() == pytest.approx(float(share))
    features = wide.square().mean(dim=0).sqrt()
    spread = float(features.max() / features.median())
    assert trace.get(Statistic.FEATURE_SPREAD, "0").first() == pytest.approx(spread, rel=1e-6)


def test_samples_that_look_alike_are_not_distinguishable() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    trace = _watch(model, torch.ones(32, 6) * 3.7)
    assert trace.get(Statistic.DISTINGUISHABILITY, "0").first() == 0.0


def test_update_ratio_is_what_the_step_changed() -> None:
    torch.manual_seed(5)
    model, x = nn.Linear(7, 5), torch.randn(20, 7)
    before = model.weight.detach().clone()
    trace = _watch(model, x, lr=0.1)
    expected = float((model.weight.detach() - before).norm() / before.norm())
    assert trace.get(Statistic.UPDATE_RATIO, "weight").first() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_eps_share_equals_its_definition(eps: float) -> None:
    torch.manual_seed(6)
    model, x = nn.Linear(7, 5), torch.randn(20, 7)
    chosen = torch.optim.Adam(model.parameters(), lr=1e-3, eps=eps)
    with evengrad.watch(model, chosen) as monitor:
        for _ in range(2):
            chosen.zero_grad()
            model(x).square().mean().backward()
            chosen.step()
    state = chosen.state[model.weight]
    corrected = (state["exp_avg_sq"].double() / (1 - 0.999**2)).sqrt()
    series = monitor.trace().get(Statistic.EPS_SHARE, "weight")
    assert series.steps[-1] == 1
    assert series.last() == pytest.approx(float((eps / (corrected + eps)).mean()), rel=1e-5)


@pytest.mark.parametrize("kind", ["SGD", "momentum", "Adam", "AdamW"])
def test_the_intended_update_is_what_float32_weights_get(kind: str) -> None:
    torch.manual_seed(7)
    model, x = nn.Linear(7, 5).double(), torch.randn(20, 7).double()
    made: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "SGD": lambda: torch.optim.SGD(model.parameters(), lr=0.1),
        "momentum": lambda: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "Adam": lambda: torch.optim.Adam(model.parameters(), lr=0.01),
        "AdamW": lambda: torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0),
    }
    optimizer = made[kind]()
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        before = model.weight.detach().clone()
        optimizer.step()
    intended = intended_update(optimizer, model.weight, optimizer.param_groups[0])
    assert intended is not None
    assert torch.allclose(model.weight.detach() - before, intended.double(), rtol=1e-5, atol=1e-9)


def test_bfloat16_weights_lose_small_updates() -> None:
    torch.manual_seed(8)
    shares = {}
    for lr in (1e-1, 1e-5):
        model = nn.Linear(32, 32).to(torch.bfloat16)
        x = torch.randn(64, 32).to(torch.bfloat16)
        trace = _watch(model, x, optimizer=torch.optim.Adam, lr=lr, steps=2)
        shares[lr] = trace.get(Statistic.REALISED_FRACTION, "weight").median()
    assert shares[1e-1] > 0.9
    assert shares[1e-5] < 0.5


def test_classification_losses_tell_classes_batch_and_spread() -> None:
    torch.manual_seed(9)
    model, x = nn.Linear(5, 7), torch.randn(24, 5)
    trace = _watch(model, x, loss=lambda out: F.cross_entropy(out, torch.zeros(24, dtype=torch.long)))
    assert trace.get(Statistic.CLASSES).first() == 7
    assert trace.get(Statistic.BATCH_SIZE).first() == 24
    assert trace.get(Statistic.OUTPUT_SPREAD).first() > 0.01


def test_regression_targets_are_measured() -> None:
    torch.manual_seed(10)
    target = torch.randn(24, 1) * 300 + 1000
    trace = _watch(nn.Linear(5, 1), torch.randn(24, 5), loss=lambda out: F.mse_loss(out, target))
    assert trace.get(Statistic.TARGET_RMS).first() == pytest.approx(float(target.square().mean().sqrt()), rel=1e-5)
    assert trace.get(Statistic.TARGET_SPREAD).first() == pytest.approx(float(target.std(correction=0)), rel=1e-4)


@pytest.mark.parametrize("scale", [1.0, 65536.0])
def test_gradients_are_unscaled_and_before_clipping(scale: float) -> None:
    torch.manual_seed(11)
    model, x = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(24, 5)
    loss = model(x).square().mean() * 100
    expected = torch.autograd.grad(loss, list(model.parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    with evengrad.watch(model, optimizer) as monitor:
        scaler.scale(model(x).square().mean() * 100).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        scaler.step(optimizer)
        scaler.update()
    trace = monitor.trace()
    total = math.sqrt(sum(float(g.square().sum()) for g in expected))
    assert trace.get(Statistic.GRAD_NORM).first() == pytest.approx(total, rel=1e-3)
    assert trace.get(Statistic.CLIP_COEF).first() == pytest.approx(0.01 / total, rel=1e-3)
    rms = float(expected[0].square().mean().sqrt())
    assert trace.get(Statistic.GRAD_RMS, "0.weight").first() == pytest.approx(rms, rel=1e-3)
