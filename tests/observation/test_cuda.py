"""On a GPU: neutral, without a synchronisation on ordinary steps, and with the same answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import evengrad
from evengrad.core.event import EventKind
from evengrad.core.statistic import Statistic

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def _net(depth: int, device: str) -> nn.Sequential:
    torch.manual_seed(0)
    blocks = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
    return nn.Sequential(*blocks, nn.Linear(64, 10)).to(device)


def _train(device: str, steps: int, *, strict_from: int | None = None) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    model = _net(6, device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(128, 64, generator=generator).to(device)
    y = torch.randint(0, 10, (128,), generator=generator).to(device)
    losses = []
    for step in range(steps):
        if strict_from is not None and step == strict_from:
            torch.cuda.set_sync_debug_mode("error")
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    torch.cuda.set_sync_debug_mode("default")
    return losses, [p.detach().clone() for p in model.parameters()]


def test_a_watched_run_is_bit_identical() -> None:
    losses, weights = _train("cuda", 40)
    with evengrad.watch() as monitor:
        watched_losses, watched_weights = _train("cuda", 40)
    assert monitor.failure is None
    assert all(torch.equal(a, b) for a, b in zip(losses, watched_losses, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights, watched_weights, strict=True))


def test_ordinary_steps_do_not_synchronise() -> None:
    with evengrad.watch() as monitor:
        session = monitor._session
        session.controller.deep_due = lambda step: step == 0  # type: ignore[method-assign]
        session.controller.light_due = lambda step: False  # type: ignore[method-assign]
        _train("cuda", 30, strict_from=5)
    assert monitor.failure is None
    assert monitor.trace().steps == 30


def test_the_ledger_equals_the_cpu_s() -> None:
    ledgers = {}
    for device in ("cpu", "cuda"):
        with evengrad.watch() as monitor:
            _train(device, 3)
        ledgers[device] = monitor.trace().ledgers[0]
    assert ledgers["cuda"].attenuation == pytest.approx(ledgers["cpu"].attenuation, abs=1e-3)
    assert ledgers["cuda"].total == pytest.approx(ledgers["cuda"].attenuation, abs=1e-6)


def test_the_profile_through_time_of_cudnn_equals_the_cpu_s() -> None:
    profiles = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        rnn, head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 1)
        model = nn.ModuleDict({"rnn": rnn, "head": head}).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(3, 12, 4, generator=torch.Generator().manual_seed(1)).to(device)
        with evengrad.watch(model, optimizer) as monitor:
            head(rnn(x)[0][:, -1]).square().mean().backward()
            optimizer.step()
        assert monitor.failure is None
        profiles[device] = monitor.trace().time_profiles[0].norms
    assert profiles["cuda"] == pytest.approx(profiles["cpu"], rel=1e-3)


def test_gradscaler_s_gradients_are_read_unscaled() -> None:
    norms = {}
    for scaled in (False, True):
        model = _net(1, "cuda")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**12, enabled=scaled)
        x = torch.randn(32, 64, generator=torch.Generator().manual_seed(1)).cuda()
        with evengrad.watch(model, optimizer) as monitor:
            for _ in range(4):
                optimizer.zero_grad()
                scaler.scale(model(x).square().mean()).backward()
                scaler.step(optimizer)
                scaler.update()
        norms[scaled] = monitor.trace().get(Statistic.GRAD_NORM).first()
    assert norms[True] == pytest.approx(norms[False], rel=1e-3)


def test_a_non_finite_gradient_is_noticed() -> None:
    model = _net(1, "cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with evengrad.watch(model, optimizer) as monitor:
        for step in range(8):
            optimizer.zero_grad()
            out = model(torch.randn(16, 64, device="cuda"))
            (torch.log(out * 0.0).mean() if step == 3 else out.square().mean()).backward()
            optimizer.step()
    kinds = {event.kind for event in monitor.trace().events}
    assert EventKind.NON_FINITE_GRADIENT in kinds
