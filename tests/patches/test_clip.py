"""Clipping is written between backward and step, for the parameters that the optimizer holds."""

from __future__ import annotations

import math

import pytest
import torch

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import assert_written, change, ran, written

PLAIN = """
import torch
from torch import nn

model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    loss = 100 * model(torch.ones(4, 3)).square().sum()
    optimizer.zero_grad()
    loss.backward()
    # update
    optimizer.step()
norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
"""


def test_a_clip_by_norm_follows_backward_and_bounds_the_gradient() -> None:
    script = assert_written(
        PLAIN,
        change(Act.CLIP, kind="norm", threshold=0.5),
        "+    nn.utils.clip_grad_norm_(model.parameters(), 0.5)",
    )
    norm = ran(script)["norm"]
    assert isinstance(norm, torch.Tensor)
    assert norm.item() == pytest.approx(0.5, rel=1e-4)
    assert "loss.backward()\n    nn.utils" in script


def test_a_clip_by_value_bounds_each_entry() -> None:
    script = assert_written(
        PLAIN,
        change(Act.CLIP, kind="value", threshold=0.25),
        "+    nn.utils.clip_grad_value_(model.parameters(), 0.25)",
    )
    model = ran(script)["model"]
    assert isinstance(model, torch.nn.Module)
    assert max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None) == 0.25


def test_adaptive_clipping_bounds_each_unit_by_its_weights() -> None:
    two_layers = PLAIN.replace("nn.Linear(3, 2)", "nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))")
    script = written(two_layers, change(Act.CLIP, kind="adaptive", threshold=0.01))
    assert "clip_gradients_adaptively(model.parameters(), 0.01)" in script
    frozen = script.replace("    optimizer.step()", "    break")
    model = ran(frozen)["model"]
    assert isinstance(model, torch.nn.Sequential)
    weight = model[0].weight
    assert isinstance(weight, torch.Tensor)
    assert weight.grad is not None
    ratio = weight.grad.norm(dim=1) / weight.norm(dim=1)
    torch.testing.assert_close(ratio, torch.full((3,), 0.01))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            """
            import torch
            for x in data:
                for i, y in enumerate(x):
                    (loss_of(y) / 4).backward()
                    if (i + 1) % 4 == 0:
                        opt.step()
                        opt.zero_grad()
            """,
            "+            torch.nn.utils.clip_grad_norm_"
            '([p for group in opt.param_groups for p in group["params"]], 2.0)',
            id="accumulated gradients, optimizer made elsewhere",
        ),
        pytest.param(
            """
            from torch.optim import Adam
            opt = Adam(net.parameters())
            loss = f(); loss.backward(); opt.step()  # one line
            """,
            """
            +from torch import nn
            -loss = f(); loss.backward(); opt.step()  # one line
            +loss = f(); loss.backward(); nn.utils.clip_grad_norm_(net.parameters(), 2.0); opt.step()  # one line
            """,
            id="one line",
        ),
        pytest.param(
            """
            import torch, torch.nn as nn
            opt = torch.optim.Adam(net.parameters())
            scaler = torch.amp.GradScaler("cuda")
            for x in data:
                scaler.scale(net(x)).backward()
                scaler.step(opt)
                scaler.update()
            """,
            """
            +    scaler.unscale_(opt)
            +    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            """,
            id="scaler without unscale",
        ),
        pytest.param(
            """
            import torch, torch.nn as nn
            opt = torch.optim.Adam(net.parameters())
            scaler = torch.amp.GradScaler("cuda")
            for x in data:
                scaler.scale(net(x)).backward()
                scaler.unscale_(opt)
                log(norm_of(net))
                scaler.step(opt)
            """,
            "+    nn.utils.clip_grad_norm_(net.parameters(), 2.0)",
            id="scaler with unscale",
        ),
        pytest.param(
            """
            import torch
            from torch.nn.utils import clip_grad_norm_ as clip
            opt = torch.optim.Adam(net.parameters())
            for x in data:
                net(x).backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=1e-3, norm_type=2)
                opt.step()
            """,
            """
            -    torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=1e-3, norm_type=2)
            +    torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=2.0, norm_type=2)
            """,
            id="there is one",
        ),
        pytest.param(
            """
            import torch
            from torch.nn.utils import clip_grad_value_
            opt = torch.optim.Adam(net.parameters())
            for x in data:
                net(x).backward()
                clip_grad_value_(net.parameters(), 5.)
                opt.step()
            """,
            """
            -    clip_grad_value_(net.parameters(), 5.)
            +    torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            """,
            id="one of another kind",
        ),
        pytest.param(
            """
            import torch
            opt = torch.optim.LBFGS(net.parameters())
            def closure():
                opt.zero_grad()
                loss = f()
                loss.backward()
                return loss
            opt.step(closure)
            """,
            "+    torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)",
            id="closure",
        ),
        pytest.param(
            """
            import torch
            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.opt = torch.optim.SGD(self.model.parameters(), lr=1)
                async def fit(self, x):
                    self.model(x).backward()
                    if self.opt: self.opt.step()
            """,
            """
            -        if self.opt: self.opt.step()
            +        if self.opt: torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0); self.opt.step()
            """,
            id="attributes, async, step on the line of its if",
        ),
        pytest.param(
            """
            import torch
            def make(model):
                return torch.optim.SGD(model.parameters(), lr=1)
            def train(model, optimizer):
                for x in data:
                    model(x).backward()
                    optimizer.step()
                    optimizer.zero_grad()
            train(net, make(net))
            """,
            "+        torch.nn.utils.clip_grad_norm_"
            '([p for group in optimizer.param_groups for p in group["params"]], 2.0)',
            id="the optimizer's own parameters where names may differ",
        ),
    ],
)
def test_a_clip_stands_where_the_gradient_is_whole(script: str, expected: str) -> None:
    assert_written(script, change(Act.CLIP, kind="norm", threshold=2.0), expected)


def test_each_player_of_a_gan_is_clipped_and_one_can_be_chosen() -> None:
    script = """
        import torch
        g, d = Net(), Net()
        og = torch.optim.Adam(g.parameters(), lr=1e-3)
        od = torch.optim.Adam(d.parameters(), lr=1e-3)
        for x in data:
            d(x).backward()
            od.step()
            g(x).backward()
            og.step()
        """
    both = written(script, change(Act.CLIP, kind="norm", threshold=1.0))
    assert "d(x).backward()\n    torch.nn.utils.clip_grad_norm_(d.parameters(), 1.0)\n    od.step()" in both
    assert "g(x).backward()\n    torch.nn.utils.clip_grad_norm_(g.parameters(), 1.0)\n    og.step()" in both
    assert_written(
        script,
        change(Act.CLIP, lines=(4,), kind="norm", threshold=1.0),
        "+    torch.nn.utils.clip_grad_norm_(d.parameters(), 1.0)",
    )


def test_an_infinite_bound_takes_the_clip_away() -> None:
    clipped = written(PLAIN, change(Act.CLIP, kind="norm", threshold=0.5))
    assert_written(
        clipped,
        change(Act.CLIP, kind="norm", threshold=math.inf),
        "-    nn.utils.clip_grad_norm_(model.parameters(), 0.5)",
    )


@pytest.mark.parametrize(
    ("script", "instruction"),
    [
        ("from lightning import Trainer\nTrainer(max_epochs=3).fit(model)\n", "give it gradient_clip_val=0.5"),
        (
            "import torch\ne = N(9, sparse=True)\no = torch.optim.SGD(p)\no.step()\n",
            "take sparse=True away there first",
        ),
        ("for p in params:\n    p.data -= 0.1 * p.grad\n", r"call torch.nn.utils.clip_grad_norm_\(parameters, 0.5\)"),
        (
            "import torch\no = torch.optim.SGD(p, 1)\nl.backward()\nc(p, 1)\nclip_grad_norm_(p)\no.step()\n",
            "set max_norm",
        ),
    ],
)
def test_without_a_place_for_it_the_user_is_told_what_to_write(script: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.CLIP, kind="norm", threshold=0.5))


def test_adaptive_clipping_knows_kernels() -> None:
    script = PLAIN.replace("nn.Linear(3, 2)", "nn.Sequential(nn.Conv1d(4, 4, 2), nn.Linear(2, 1))")
    patched = written(script, change(Act.CLIP, kind="adaptive", threshold=0.01))
    assert "loss" in ran(patched)
