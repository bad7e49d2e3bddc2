"""Acts on gradients and rates, against torch's own and against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad import apply
from evengrad.core.plan import Act
from evengrad.errors import TreatmentError
from evengrad.treatment.acts.clip import clip_adaptively
from tests.treatment.programs import Functional, assert_same, data, plan, steps, weights


def trained(treated: bool, settings: dict[str, str | float], act: Act = Act.CLIP) -> list[Tensor]:
    """Train with a plan, or with torch's own clipping in the loop."""
    torch.manual_seed(0)
    model = Functional()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    if treated:
        apply(plan(act, **settings), model, optimizer)
    x, y = data()
    threshold = settings.get("threshold", 0.0)
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if act is Act.PENALISE and not treated:
            half = float(settings["coefficient"]) / 2
            loss = loss + half * sum(p.square().sum() for p in model.parameters())
        loss.backward()
        if act is Act.CLIP and not treated:
            clips = {"norm": nn.utils.clip_grad_norm_, "value": nn.utils.clip_grad_value_}
            clips[str(settings["kind"])](model.parameters(), float(threshold))
        optimizer.step()
    return weights(model)


@pytest.mark.parametrize("kind", ["norm", "value"])
@pytest.mark.parametrize("threshold", [0.05, 1e3])
def test_clipping_is_torchs_to_the_bit(kind: str, threshold: float) -> None:
    settings: dict[str, str | float] = {"kind": kind, "threshold": threshold}
    assert_same(trained(True, settings), trained(False, settings))


def test_l2_is_the_gradient_of_the_penalty() -> None:
    settings: dict[str, str | float] = {"coefficient": 0.1}
    for ours, autograd in zip(
        trained(True, settings, Act.PENALISE), trained(False, settings, Act.PENALISE), strict=True
    ):
        assert torch.allclose(ours, autograd, rtol=1e-5, atol=1e-7)


def test_adaptive_clipping_bounds_every_unit_but_the_last_layers() -> None:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape)) for shape in ((5, 4), (5,), (3, 2, 3, 3), (2, 3))]
    for parameter in parameters:
        parameter.grad = 10 * torch.randn_like(parameter)
    kept = [p.grad.clone() for p in parameters if p.grad is not None]
    clip_adaptively(parameters, 0.01)
    for parameter, before in zip(parameters, kept, strict=True):
        assert parameter.grad is not None
        for unit in range(len(parameter)):
            if parameter.dim() == 1 or parameter is parameters[-1]:
                assert torch.equal(parameter.grad[unit], before[unit])
            else:
                bound = 0.01 * max(parameter[unit].norm().item(), 1e-3)
                wanted = before[unit] * min(1.0, bound / before[unit].norm().item())
                assert torch.allclose(parameter.grad[unit], wanted, rtol=1e-5)


def test_clipping_reaches_gradients_that_a_closure_makes() -> None:
    def run(treated: bool) -> Tensor:
        parameter = nn.Parameter(torch.full((4,), 3.0))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        if treated:
            apply(plan(Act.CLIP, kind="norm", threshold=0.5), nn.ParameterList([parameter]), optimizer)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = parameter.square().sum()
            loss.backward()
            if not treated:
                nn.utils.clip_grad_norm_([parameter], 0.5)
            return loss

        optimizer.step(closure)
        return parameter.detach()

    assert torch.equal(run(True), run(False))


@pytest.mark.parametrize("clip", [True, False])
def test_loss_scale_of_a_fused_optimizer_is_allowed_for(clip: bool) -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=1.0, fused=True)
    act = plan(Act.CLIP, kind="value", threshold=0.1) if clip else plan(Act.PENALISE, coefficient=0.1)
    apply(act, nn.ParameterList([parameter]), optimizer)
    optimizer.grad_scale = torch.tensor(1024.0)  # as GradScaler sets it when the optimizer unscales by itself
    parameter.grad = torch.full((3,), 1024.0)
    optimizer.step()
    assert parameter.tolist() == pytest.approx([0.9] * 3 if clip else [-0.1] * 3)


def rates_in_steps(optimizer: torch.optim.Optimizer, scheduler: object, model: nn.Module, count: int) -> list[float]:
    seen: list[float] = []
    parameter = next(model.parameters())
    for _ in range(count):
        before = parameter.detach().clone()
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        seen.append((before - parameter.detach()).flatten()[0].item())
        if isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler):
            scheduler.step()
    return seen


def test_warm_up_ramps_and_leaves_the_schedule_alone() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 ** (step // 3))
    apply(plan(Act.WARM_UP, steps=4), model, optimizer)
    expected = [0.1 * 0.5 ** (t // 3) * min(1, (t + 1) / 4) for t in range(7)]
    assert rates_in_steps(optimizer, schedule, model, 7) == pytest.approx(expected, rel=1e-4)
    assert optimizer.param_groups[0]["lr"] == 0.1 * 0.5**2


@pytest.mark.parametrize("kind", ["none", "lambda", "step", "one-cycle"])
def test_learning_rate_is_scaled_whatever_schedules_it(kind: str) -> None:
    schedulers = torch.optim.lr_scheduler
    seen = []
    for factor in (1.0, 0.25):
        model = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.0)
        schedule = {
            "none": lambda o: None,
            "lambda": lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step)),
            "step": lambda o: schedulers.StepLR(o, 2, 0.5),
            "one-cycle": lambda o: schedulers.OneCycleLR(o, 0.4, total_steps=10, cycle_momentum=False),
        }[kind](optimizer)
        apply(plan(Act.OPTIMIZE, lr_factor=factor), model, optimizer)
        seen.append(rates_in_steps(optimizer, schedule, model, 5))
    assert seen[1] == pytest.approx([0.25 * rate for rate in seen[0]], rel=1e-3)


def test_rates_compose_and_come_off_in_any_order() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 100)
    first = apply(plan(Act.OPTIMIZE, lr_factor=0.5), model, optimizer)
    second = apply(plan(Act.OPTIMIZE, lr_factor=0.5), model, optimizer)
    assert rates_in_steps(optimizer, schedule, model, 1) == pytest.approx([0.025], rel=1e-4)
    assert optimizer.param_groups[0]["lr"] == 0.1
    second.revert()
    first.revert()
    assert rates_in_steps(optimizer, schedule, model, 1) == pytest.approx([0.1], rel=1e-4)


def test_constant_schedule_keeps_the_first_rate() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    apply(plan(Act.OPTIMIZE, schedule="constant"), model, optimizer)
    assert rates_in_steps(optimizer, schedule, model, 3) == pytest.approx([0.1] * 3, rel=1e-4)


def test_numbers_of_the_optimizer_are_set_in_every_group() -> None:
    model = Functional()
    groups = [{"params": model.layers.parameters()}, {"params": [*model.gate.parameters(), *model.head.parameters()]}]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    apply(plan(Act.OPTIMIZE, lr=0.01, weight_decay=0.3, eps=1e-4, beta2=0.95), model, optimizer)
    for group in optimizer.param_groups:
        assert (group["lr"], group["weight_decay"], group["eps"], group["betas"]) == (0.01, 0.3, 1e-4, (0.9, 0.95))
    assert len(optimizer.param_groups) == 2
    assert all(map(math.isfinite, steps(model, optimizer)))


def test_settings_that_the_optimizer_lacks_are_refused() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(TreatmentError, match="SGD has no setting 'eps'"):
        apply(plan(Act.OPTIMIZE, eps=1e-3), model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(TreatmentError, match="another class of optimizer"):
        apply(plan(Act.OPTIMIZE, optimizer="Adam"), model, torch.optim.SGD(model.parameters(), lr=0.1))
