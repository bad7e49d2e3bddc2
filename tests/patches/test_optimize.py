"""Numbers and classes of optimizers are edited in the call that makes them."""

from __future__ import annotations

import pytest
import torch

from evengrad.core.info import OptimizerInfo, SourceLine
from evengrad.core.plan import Act, Setting
from evengrad.errors import PatchError
from evengrad.patches import Facts
from tests.patches.written import PATH, assert_written, change, ran, written

HEAD = (
    "import torch, argparse\nfrom torch import nn, optim\nmodel = nn.Linear(2, 2)\nargs = argparse.Namespace(lr=0.1)\n"
)


def met(line: int, kind: str, **numbers: float) -> Facts:
    """Return the facts of a run with one optimizer."""
    return Facts(optimizers=(OptimizerInfo(0, kind, (numbers,), SourceLine(PATH, line)),))


@pytest.mark.parametrize(
    ("before", "settings", "after"),
    [
        ("optim.SGD(model.parameters(), lr=0.1)", {"lr": 0.01}, "optim.SGD(model.parameters(), lr=0.01)"),
        ("optim.SGD(model.parameters(), 0.1, 0.9)", {"lr": 0.01}, "optim.SGD(model.parameters(), 0.01, 0.9)"),
        ("optim.SGD(model.parameters(), lr=args.lr)", {"lr": 1e-3}, "optim.SGD(model.parameters(), lr=0.001)"),
        (
            "optim.SGD(model.parameters(), lr=args.lr)",
            {"lr_factor": 0.1},
            "optim.SGD(model.parameters(), lr=args.lr * 0.1)",
        ),
        ("optim.SGD(model.parameters(), lr=3e-1)", {"lr_factor": 0.1}, "optim.SGD(model.parameters(), lr=0.03)"),
        (
            "optim.SGD(model.parameters(), lr=1 if args.lr else 2)",
            {"lr_factor": 0.5},
            "optim.SGD(model.parameters(), lr=(1 if args.lr else 2) * 0.5)",
        ),
        ("optim.Adam(model.parameters())", {"eps": 1e-12}, "optim.Adam(model.parameters(), eps=1e-12)"),
        ("optim.Adam(model.parameters())", {"weight_decay": 0.01}, "optim.Adam(model.parameters(), weight_decay=0.01)"),
        ("optim.Adam(params=model.parameters(),)", {"lr": 0.01}, "optim.Adam(params=model.parameters(), lr=0.01,)"),
        (
            "optim.Adam(model.parameters(), betas=(0.5, 0.999))",
            {"beta2": 0.98},
            "optim.Adam(model.parameters(), betas=(0.5, 0.98))",
        ),
        ("optim.Adam(model.parameters())", {"beta2": 0.98}, "optim.Adam(model.parameters(), betas=(0.9, 0.98))"),
        (
            "optim.SGD(model.parameters(), lr=0.1, nesterov=True, momentum=0.9)",
            {"nesterov": False},
            "optim.SGD(model.parameters(), lr=0.1, nesterov=False, momentum=0.9)",
        ),
        (
            'optim.Adam([{"params": model.weight, "lr": 0.2}, {"params": model.bias}], lr=args.lr)',
            {"lr_factor": 0.5},
            'optim.Adam([{"params": model.weight, "lr": 0.1}, {"params": model.bias}], lr=args.lr * 0.5)',
        ),
        (
            "optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)",
            {"optimizer": "Adam", "lr": 1e-3},
            "optim.Adam(model.parameters(), lr=0.001, weight_decay=0.1)",
        ),
        (
            "torch.optim.SGD(model.parameters(), 0.1, 0.9)",
            {"optimizer": "RMSprop"},
            "torch.optim.RMSprop(model.parameters(), 0.1, momentum=0.9)",
        ),
        (
            'optim.SGD(model.parameters(), **{"lr": 0.3})',
            {"lr": 0.1},
            'optim.SGD(model.parameters(), **{**{"lr": 0.3}, "lr": 0.1})',
        ),
    ],
)
def test_an_argument_is_set_where_it_stands(before: str, settings: dict[str, Setting], after: str) -> None:
    script = assert_written(
        f"{HEAD}optimizer = {before}  # why\n",
        change(Act.OPTIMIZE, **settings),
        f"-optimizer = {before}  # why\n+optimizer = {after}  # why",
    )
    optimizer = ran(script)["optimizer"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    for name, value in settings.items():
        if name in optimizer.defaults:
            assert optimizer.defaults[name] == value


def test_an_optimizer_from_a_table_is_found_by_its_line() -> None:
    assert_written(
        HEAD
        + 'kind = "sgd"\noptimizer = {"sgd": optim.SGD, "adam": optim.Adam}[kind](model.parameters(), lr=args.lr)\n',
        change(Act.OPTIMIZE, lr=0.01),
        """
        -optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[kind](model.parameters(), lr=args.lr)
        +optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[kind](model.parameters(), lr=0.01)
        """,
        met(6, "SGD", lr=0.1),
    )


def test_of_a_conditional_expression_the_branch_that_ran_is_edited() -> None:
    line = "optimizer = optim.Adam(model.parameters(), lr=1) if args.lr else optim.SGD(model.parameters(), lr=1)"
    assert_written(
        f"{HEAD}{line}\n",
        change(Act.OPTIMIZE, lr=0.5),
        f"-{line}\n+{line.replace('SGD(model.parameters(), lr=1)', 'SGD(model.parameters(), lr=0.5)')}",
        met(5, "SGD", lr=1.0),
    )


def test_a_call_over_several_lines_keeps_its_comments() -> None:
    assert_written(
        HEAD + "optimizer = optim.AdamW(\n    model.parameters(),  # all\n    lr=3e-4,  # found by hand\n)\n",
        change(Act.OPTIMIZE, lr=1e-4, weight_decay=0.0),
        """
        -    lr=3e-4,  # found by hand
        +    lr=0.0001, weight_decay=0.0,  # found by hand
        """,
    )


def test_a_rate_that_is_not_written_comes_from_the_run() -> None:
    assert_written(
        HEAD + "optimizer = optim.Adam(model.parameters())\n",
        change(Act.OPTIMIZE, lr_factor=0.1),
        """
        -optimizer = optim.Adam(model.parameters())
        +optimizer = optim.Adam(model.parameters(), lr=0.0001)
        """,
        met(5, "Adam", lr=1e-3),
    )


def test_a_schedule_is_stopped_by_not_stepping_it() -> None:
    script = """
        import torch
        opt = torch.optim.SGD(net.parameters(), lr=1)
        sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.1)
        for x in data:
            opt.step()
            sched.step()
        """
    assert_written(script, change(Act.OPTIMIZE, schedule="constant"), "-    sched.step()")


def test_of_two_optimizers_the_one_on_the_line_is_edited() -> None:
    script = HEAD + "a = optim.SGD(model.parameters(), lr=1)\nb = optim.SGD(model.parameters(), lr=1)\n"
    assert_written(
        script,
        change(Act.OPTIMIZE, lines=(6,), lr=2.0),
        "-b = optim.SGD(model.parameters(), lr=1)\n+b = optim.SGD(model.parameters(), lr=2.0)",
    )
    with pytest.raises(PatchError, match=r"several optimizers, at train.py:5 and train.py:6; give lr=2.0"):
        written(script, change(Act.OPTIMIZE, lr=2.0))


@pytest.mark.parametrize(
    ("tail", "settings", "instruction"),
    [
        ("o = optim.SGD(model.parameters(), lr=1)\n", {"eps": 1e-8}, "SGD at train.py:5 has no argument eps"),
        (
            'o = optim.SGD([{"params": model.parameters(), "lr": 1}])\n',
            {"lr": 0.1},
            "parameter groups at train.py:5 have learning rates of their own; bring them to 0.1",
        ),
        (
            "o = optim.SGD(model.parameters())\ns = optim.lr_scheduler.OneCycleLR(o, max_lr=1)\n",
            {"lr": 0.1},
            "OneCycleLR at train.py:6 sets the learning rate; change its max_lr there",
        ),
        ("o = Lion(model.parameters(), lr=1)\n", {"eps": 0.1}, "not made in the source given; give it eps=0.1"),
        ("", {"lr": 0.1}, "not made in the source given; give it lr=0.1"),
        ("o = optim.SGD(model.parameters())\n", {"optimizer": "Lion"}, "use Lion in place of SGD at train.py:5"),
    ],
)
def test_what_cannot_be_set_safely_is_told(tail: str, settings: dict[str, Setting], instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(HEAD + tail, change(Act.OPTIMIZE, **settings))


def test_a_class_of_the_users_own_is_given_no_argument_that_it_may_lack() -> None:
    script = HEAD + "optimizer = Lion(model.parameters(), lr=1.0)\n"
    assert "lr=0.5" in written(script, change(Act.OPTIMIZE, lr=0.5), met(5, "Lion", lr=1.0))
    with pytest.raises(PatchError, match=r"give Lion at train.py:5 eps=0.1, if it has such an argument"):
        written(script, change(Act.OPTIMIZE, eps=0.1), met(5, "Lion", lr=1.0))
