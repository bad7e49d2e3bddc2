"""Watching: neutral, once, switched off when told to, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import evengrad
from evengrad.errors import UsageError


def _train(steps: int = 30) -> tuple[list[float], list[torch.Tensor]]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(8, 6)), torch.randint(0, 2, (8,)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().clone() for p in model.parameters()]


def test_a_watched_run_is_bit_identical_and_leaves_the_same_random_state() -> None:
    losses, weights = _train()
    state = torch.get_rng_state()
    with evengrad.watch() as monitor:
        watched_losses, watched_weights = _train()
        assert torch.equal(torch.get_rng_state(), state)
    assert monitor.trace().steps == 30
    assert watched_losses == losses
    assert all(torch.equal(a, b) for a, b in zip(weights, watched_weights, strict=True))


def _patched_names() -> dict[str, object]:
    scaler = torch.amp.grad_scaler.GradScaler
    places: dict[str, object] = {
        "backward": torch.autograd.backward,
        "grad": torch.autograd.grad,
        "clip": torch.nn.utils.clip_grad_norm_,
        "clip 2": torch.nn.utils.clip_grad.clip_grad_norm_,
        "clip value": torch.nn.utils.clip_grad_value_,
        "module": nn.Module.__init__,
        "optimizer": torch.optim.Optimizer.__init__,
        "zero": torch.optim.Optimizer.zero_grad,
        "module zero": nn.Module.zero_grad,
        "compile": torch.compile,
        "module compile": nn.Module.compile,
        "hooks": torch.autograd.graph.saved_tensors_hooks.__enter__,
    }
    return places | {f"scaler {name}": vars(scaler)[name] for name in ("scale", "unscale_", "step")}


def _global_hooks() -> int:
    from torch.nn.modules import module
    from torch.optim import optimizer

    return sum(
        len(table)
        for table in (
            module._global_forward_hooks,
            module._global_forward_pre_hooks,
            optimizer._global_optimizer_pre_hooks,
            optimizer._global_optimizer_post_hooks,
        )
    )


def test_every_hook_and_patch_comes_off_even_after_an_exception() -> None:
    before, hooks = _patched_names(), _global_hooks()

    def break_off() -> None:
        with evengrad.watch():
            _train(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert _patched_names() == before
    assert _global_hooks() == hooks
    assert not torch.is_anomaly_enabled()


def test_watching_twice_is_watching_once() -> None:
    with evengrad.watch() as outer:
        with evengrad.watch() as inner:
            assert inner is outer
            _train(4)
        assert not outer.off
    assert outer.trace().steps == 4


def test_the_environment_switches_everything_off(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _patched_names()
    monkeypatch.setenv("EVENGRAD", "0")
    with evengrad.watch() as monitor:
        assert _patched_names() == before
        _train(3)
    assert monitor.trace().steps == 0


@pytest.mark.parametrize("budget", [-1.0, 0.0, 1.5, float("nan")])
def test_a_budget_that_is_no_share_is_refused(budget: float) -> None:
    with pytest.raises(UsageError, match="expected a budget above 0"), evengrad.watch(budget=budget):
        pass


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a torch.nn.Module to watch, got int"), evengrad.watch([3]):  # type: ignore[list-item]
        pass


def test_a_fault_of_ours_ends_the_watching_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from evengrad.observation import graph

    losses, _ = _train(6)

    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(graph.Graph, "_attribute", broken)
    before = _patched_names()
    with evengrad.watch() as monitor:
        watched, _ = _train(6)
        assert _patched_names() == before
    assert watched == losses
    assert monitor.failure is not None
    assert capfd.readouterr().err.count("\n") == 1


def test_importing_evengrad_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, evengrad; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_closure_s_step_has_the_loss_of_its_first_evaluation() -> None:
    torch.manual_seed(5)
    model, x, y = nn.Linear(4, 1), torch.randn(20, 4), torch.randn(20, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")
    firsts: list[float] = []
    with evengrad.watch(model, optimizer) as monitor:
        for _ in range(6):
            evaluations: list[float] = []

            def closure(evaluations: list[float] = evaluations) -> torch.Tensor:
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(x), y)
                loss.backward()
                evaluations.append(loss.item())
                return loss

            optimizer.step(closure)
            firsts.append(evaluations[0])
    series = monitor.trace().get(evengrad.Statistic.LOSS)
    assert list(series.values) == pytest.approx(firsts, rel=1e-6)


def test_parameters_and_optimizers_are_known_when_the_model_is_gone() -> None:
    with evengrad.watch() as monitor:
        _train(3)
    trace = monitor.trace()
    assert [info.name for info in trace.parameters] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert trace.parameters[0].shape == (12, 6)
    optimizer = trace.optimizer_of("0.weight")
    assert optimizer is not None
    assert optimizer.kind == "Adam"


def test_models_that_are_neither_trained_nor_called_are_nobody_s_business() -> None:
    stale = nn.Sequential(nn.Conv1d(3, 3, 1), nn.Tanh())
    with evengrad.watch() as monitor:
        _train(3)
    kinds = {info.kind for info in monitor.trace().modules}
    assert "Linear" in kinds
    assert not kinds & {"Conv1d", "Tanh"}
    assert stale[0].weight.grad is None


def test_a_called_teacher_is_known_beside_the_model_that_learns_from_it() -> None:
    torch.manual_seed(5)
    teacher, student = nn.Sequential(nn.Conv1d(3, 3, 1)), nn.Linear(4, 4)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    with evengrad.watch() as monitor:
        for _ in range(3):
            optimizer.zero_grad()
            x = torch.randn(2, 3, 4)
            (student(x) - teacher(x)).square().mean().backward()
            optimizer.step()
    assert {"Linear", "Conv1d"} <= {info.kind for info in monitor.trace().modules}
