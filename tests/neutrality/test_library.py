"""`with evengrad.watch():` round a loop in this process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import evengrad
from evengrad.core.event import EventKind
from tests.neutrality.leftovers import Snapshot
from tests.neutrality.loops import LOOPS, assert_identical, mlp, repeat, run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep sums in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def clean() -> Iterator[None]:
    """Check that nothing has been left behind when the test has ended."""
    for build in LOOPS.values():
        build()  # the first optimizer of a class makes torch wrap that class's step
    before = Snapshot()
    yield
    assert before.differences() == []


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.usefixtures("clean")
def test_a_loop_built_inside_is_the_same_to_the_bit(loop: str) -> None:
    plain = run(LOOPS[loop])
    with evengrad.watch() as monitor:
        watched = run(LOOPS[loop])
    assert_identical(plain, watched)
    trace = monitor.trace()
    assert trace.steps > 0
    assert trace.layers
    assert not trace.events_of(EventKind.SELF_DISABLED)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.usefixtures("clean")
def test_a_loop_built_before_is_the_same_to_the_bit(loop: str) -> None:
    plain = run(LOOPS[loop])
    torch.manual_seed(0)
    modules, optimizers, step = LOOPS[loop]()
    with evengrad.watch(modules, optimizers) as monitor:
        watched = repeat(modules, step, 40)
    assert_identical(plain, watched)
    assert monitor.trace().steps > 0


@pytest.mark.usefixtures("clean")
def test_every_step_may_be_probed_deeply() -> None:
    for loop in LOOPS.values():
        plain = run(loop, 12)
        with evengrad.watch(budget=1.0):
            watched = run(loop, 12)
        assert_identical(plain, watched)


@pytest.mark.usefixtures("clean")
def test_watching_twice_is_watching_once() -> None:
    plain = run(mlp)
    with evengrad.watch() as outer, evengrad.watch() as inner:
        watched = run(mlp)
    assert inner is outer
    assert_identical(plain, watched)
    assert outer.trace().steps == 40


def _run_and_fail() -> None:
    with evengrad.watch():
        run(mlp, 5)
        raise KeyError("mine")


def _fail_after_forward(net: nn.Module) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with evengrad.watch(net, optimizer):
        net(torch.ones(3, 2))
        raise KeyError("mine")


@pytest.mark.usefixtures("clean")
def test_an_exception_inside_passes_and_hooks_come_off() -> None:
    with pytest.raises(KeyError, match="mine"):
        _run_and_fail()


@pytest.mark.usefixtures("clean")
def test_an_exception_between_forward_and_step_takes_the_hooks_off() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    with pytest.raises(KeyError, match="mine"):
        _fail_after_forward(net)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.usefixtures("clean")
def test_the_environment_switches_everything_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENGRAD", "0")
    before = Snapshot()
    with evengrad.watch() as monitor:
        assert before.differences() == []
        run(mlp, 5)
    assert monitor.trace().steps == 0


@pytest.mark.usefixtures("clean")
def test_watching_again_after_the_end_sees_the_second_run_only() -> None:
    with evengrad.watch():
        run(mlp, 5)
    run(mlp, 3)
    with evengrad.watch() as monitor:
        run(mlp, 7)
    assert monitor.trace().steps == 7


def test_the_monitor_keeps_no_model_and_no_tensor_alive() -> None:
    references: list[weakref.ref[object]] = []
    with evengrad.watch() as monitor:
        for build in LOOPS.values():
            torch.manual_seed(0)
            modules, optimizers, step = build()
            loss: Tensor = step()
            things = [*modules, *optimizers, *(p for module in modules for p in module.parameters()), loss]
            references += [weakref.ref(thing) for thing in things]
            del modules, optimizers, step, loss, things
        # The probe that is under way may hold the last model's tensors until its step ends.
        torch.manual_seed(0)
        run(mlp, 3)
        gc.collect()
        assert [kept for reference in references if (kept := reference()) is not None] == []
    assert monitor.trace().steps > 0
