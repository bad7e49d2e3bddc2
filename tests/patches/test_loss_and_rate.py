"""Warm-up and penalty: what is written, and what a run of it does."""

from __future__ import annotations

import pytest
import torch

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import assert_written, change, ran, written

LOOP = """
import torch
from torch import nn
model = nn.Linear(2, 1)
opt = torch.optim.SGD(model.parameters(), lr=1.0)
{scheduler}
rates = []
for step in range(6):
    opt.zero_grad()
    loss = model(torch.ones(3, 2)).square().mean()
    loss.backward()
    rates.append(opt.param_groups[0]["lr"])
    opt.step()
    {step}
"""


def loop(scheduler: str = "pass", step: str = "pass") -> str:
    """Return a training loop that notes its learning rates."""
    return LOOP.format(scheduler=scheduler, step=step)


def test_a_ramp_raises_the_rate_linearly() -> None:
    script = assert_written(
        loop(),
        change(Act.WARM_UP, steps=4.0),
        """
        +warmup = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 4))
        +    warmup.step()
        """,
    )
    assert ran(script)["rates"] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("scheduler", "patched", "rates"),
    [
        (
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 0.5)",
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1.0, (n + 1) / 2) * 0.5)",
            [0.25, 0.5, 0.5, 0.5, 0.5, 0.5],
        ),
        (
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 1 - n / 10)",
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1.0, (n + 1) / 2) * (1 - n / 10))",
            [0.5, 0.9, 0.8, 0.7, 0.6, 0.5],
        ),
        (
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lr_lambda=float)",
            "sched = torch.optim.lr_scheduler.LambdaLR(opt, lr_lambda=lambda step: RAMP * float(step))",
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        ),
    ],
)
def test_a_lambda_schedule_gets_the_ramp_as_a_factor(scheduler: str, patched: str, rates: list[float]) -> None:
    script = assert_written(
        loop(scheduler, "sched.step()"),
        change(Act.WARM_UP, steps=2.0),
        f"-{scheduler}\n+{patched.replace('RAMP', 'min(1.0, (step + 1) / 2)')}",
    )
    assert ran(script)["rates"] == pytest.approx(rates)


def test_another_schedule_begins_behind_the_ramp() -> None:
    script = written(
        loop("sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)", "sched.step()"), change(Act.WARM_UP, steps=3.0)
    )
    assert "sched = torch.optim.lr_scheduler.SequentialLR(opt, [" in script
    assert ran(script)["rates"] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0, 0.5, 0.25])


def test_two_optimizers_get_ramps_of_their_own() -> None:
    script = """
        import torch
        a, b = torch.optim.SGD(p, lr=1), torch.optim.SGD(q, lr=1)
        for x in data:
            a.step(); b.step()
        """
    patched = written(script, change(Act.WARM_UP, steps=5.0))
    assert "warmup = torch.optim.lr_scheduler.LambdaLR(a" in patched
    assert "ramp = torch.optim.lr_scheduler.LambdaLR(b" in patched
    assert "a.step(); warmup.step(); b.step()\n    ramp.step()" in patched


@pytest.mark.parametrize(
    ("script", "instruction"),
    [
        (
            loop("sched = torch.optim.lr_scheduler.StepLR(opt, 3)").replace("rates = []", "sched.step()"),
            "StepLR at train.py:5 sets it now, and is not stepped with each step",
        ),
        (loop("sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1, 6)", "sched.step()"), "OneCycleLR at train.py:5"),
        (
            "import torch\ndef make(m):\n    return torch.optim.SGD(m.parameters())\n",
            "over the first 2 steps: make a LambdaLR",
        ),
        ("x = 1\n", "raise the learning rate linearly from zero over the first 2 steps where it is"),
    ],
)
def test_a_schedule_that_cannot_be_joined_is_told(script: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.WARM_UP, steps=2.0))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss.backward()", "(loss + {penalty}).backward()"),
        ("(loss / 2).backward()", "(loss / 2 + {penalty}).backward()"),
        ("loss.sum().backward()", "(loss.sum() + {penalty}).backward()"),
        ("(loss if step else 2 * loss).backward()", "((loss if step else 2 * loss) + {penalty}).backward()"),
        ("torch.autograd.backward(loss)", "torch.autograd.backward(loss + {penalty})"),
    ],
)
def test_the_penalty_is_added_where_backward_begins(before: str, after: str) -> None:
    penalty = "0.005 * sum(p.square().sum() for p in model.parameters())"
    ran(
        assert_written(
            loop().replace("loss.backward()", before),
            change(Act.PENALISE, coefficient=0.01),
            f"-    {before}\n+    {after.format(penalty=penalty)}",
        )
    )


def test_the_penalty_adds_its_analytic_gradient_and_leaves_the_loss() -> None:
    script = loop().replace("range(6)", "range(1)").replace("lr=1.0", "lr=0.0")
    plain, patched = ran(script), ran(written(script, change(Act.PENALISE, coefficient=0.3)))
    old, new = plain["model"], patched["model"]
    assert isinstance(old, torch.nn.Module)
    assert isinstance(new, torch.nn.Module)
    for before, after in zip(old.parameters(), new.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after.grad, before.grad + 0.3 * before)
    assert plain["loss"] == patched["loss"]


def test_a_scaled_loss_is_penalised_before_it_is_scaled() -> None:
    assert_written(
        "import torch\nopt = torch.optim.SGD(m.parameters())\nscaler.scale(loss).backward()\nscaler.step(opt)\n",
        change(Act.PENALISE, coefficient=2.0),
        """
        -scaler.scale(loss).backward()
        +scaler.scale(loss + 1.0 * sum(p.square().sum() for p in m.parameters())).backward()
        """,
    )


@pytest.mark.parametrize(
    ("script", "instruction"),
    [
        (
            "import torch\no = torch.optim.SGD(m.parameters())\nfor x in d:\n    f(x).backward()\no.step()\n",
            "to the loss near train.py:4, once per step of the optimizer",
        ),
        (
            "import torch\na = torch.optim.SGD(m)\nb = torch.optim.SGD(n)\nf().backward()\na.step()\nb.step()\n",
            "several optimizers; add 0.5 . sum",
        ),
        ("l.backward()\n", "no call of an optimizer's"),
    ],
)
def test_a_penalty_without_a_sure_place_is_told(script: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.PENALISE, coefficient=1.0))
