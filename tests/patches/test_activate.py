"""Activations are rewritten as constructors, functions, methods, values and words, and only where they are meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import assert_written, change, ran, watched, written

HEAD = """import torch, torch.nn as nn
import torch.nn.functional as F
import torch.nn.functional as func
from torch.nn import Sigmoid, Linear
x = torch.linspace(-2, 2, 5)
"""


@pytest.mark.parametrize(
    ("before", "to", "after"),
    [
        ("y = nn.Sigmoid()(x)", "relu", "y = nn.ReLU()(x)"),
        ("y = torch.nn.Sigmoid()(x)", "gelu", "y = torch.nn.GELU()(x)"),
        ("y = Sigmoid()(x)", "tanh", "y = nn.Tanh()(x)"),
        ("y = nn.ReLU(inplace=True)(x)", "leaky-relu", "y = nn.LeakyReLU(0.1, inplace=True)(x)"),
        ("y = nn.ReLU(True)(x)", "tanh", "y = nn.Tanh()(x)"),
        ("y = nn.LeakyReLU(0.2)(x)", "relu", "y = nn.ReLU()(x)"),
        ("y = nn.Tanh()(x)", "prelu", "y = nn.PReLU(init=0.1)(x)"),
        ("y = torch.sigmoid(x)", "tanh", "y = torch.tanh(x)"),
        ("y = torch.sigmoid(x)", "gelu", "y = F.gelu(x)"),
        ("y = func.sigmoid(x)", "silu", "y = func.silu(x)"),
        ("y = F.leaky_relu(x, 0.2)", "relu", "y = F.relu(x)"),
        ("y = F.relu(x, inplace=False)", "leaky-relu", "y = F.leaky_relu(x, negative_slope=0.1, inplace=False)"),
        ("y = x.sigmoid()", "relu", "y = x.relu()"),
        ("y = (2 * x).sigmoid()", "leaky-relu", "y = F.leaky_relu(2 * x, negative_slope=0.1)"),
        ("y = torch.special.expit(x)", "relu", "y = torch.relu(x)"),
        ("y = F.relu(F.relu(x))", "gelu", "y = F.gelu(F.gelu(x))"),
        ("y = 2 * F.relu(x + 1)", "identity", "y = 2 * (x + 1)"),
        ("y = F.relu(x + 1)", "identity", "y = x + 1"),
        ("y = F.softmax(x, dim=0)", "identity", "y = x"),
        ("y = x.relu().sum()", "identity", "y = x.sum()"),
        ("y = 3 * (x + 1).relu()", "identity", "y = 3 * (x + 1)"),
        ("y = nn.Sequential(Linear(5, 5), nn.Softmax(0))(x)", "identity", "y = nn.Sequential(Linear(5, 5))(x)"),
        (
            "y = nn.Sequential(nn.ReLU(), Linear(5, 5))(x)",
            "identity",
            "y = nn.Sequential(nn.Identity(), Linear(5, 5))(x)",
        ),
        ("act = nn.Sigmoid; y = act()(x)", "relu", "act = nn.ReLU; y = act()(x)"),
        ("act = F.relu; y = act(x)", "leaky-relu", "act = lambda x: F.leaky_relu(x, negative_slope=0.1); y = act(x)"),
        ('y = {"s": nn.Sigmoid, "r": nn.ReLU}["s"]()(x)', "tanh", "y = nn.Tanh()(x)"),
        ('y = getattr(nn, "Sigmoid")()(x)', "tanh", "y = nn.Tanh()(x)"),
        (
            'y = nn.RNN(5, 3, nonlinearity="relu")(x[None])[0]',
            "tanh",
            'y = nn.RNN(5, 3, nonlinearity="tanh")(x[None])[0]',
        ),
        ("y = nn.RNNCell(5, 3)(x)", "relu", 'y = nn.RNNCell(5, 3, nonlinearity="relu")(x)'),
        (
            "y = nn.TransformerEncoderLayer(4, 2, activation='relu')",
            "gelu",
            "y = nn.TransformerEncoderLayer(4, 2, activation='gelu')",
        ),
    ],
)
def test_a_use_of_an_activation_becomes_another(before: str, to: str, after: str) -> None:
    script = assert_written(
        f"{HEAD}{before}  # c\n",
        change(Act.ACTIVATE, lines=(6,), to=to, slope=0.1),
        f"-{before}  # c\n+{after}  # c",
    )
    assert "y" in ran(script)


def test_a_class_passed_as_an_argument_is_changed_where_it_is_passed() -> None:
    script = """
        import torch
        from torch import nn

        class Block(nn.Module):
            def __init__(self, width, act=nn.ReLU):
                super().__init__()
                self.fc = nn.Linear(width, width)
                self.act = act()

            def forward(self, x):
                return self.act(self.fc(x))

        net = Block(3, act=nn.Sigmoid)
        """
    assert_written(
        script,
        change(Act.ACTIVATE, lines=(8,), to="tanh"),
        "-        self.act = act()\n+        self.act = nn.Tanh()",
    )


def test_a_functional_call_gets_a_prelu_that_learns() -> None:
    script = assert_written(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 3)

            def forward(self, x):
                return torch.relu(  # here
                    self.fc(x)
                )

        net = Net()
        net(torch.ones(2, 3)).sum().backward()
        """,
        change(Act.ACTIVATE, lines=(10,), to="prelu", slope=0.2),
        """
        +        self.prelu = nn.PReLU(init=0.2)
        -        return torch.relu(  # here
        +        return self.prelu(  # here
        """,
    )
    net = ran(script)["net"]
    assert isinstance(net, torch.nn.Module)
    slope = net.get_parameter("prelu.weight")
    assert slope.item() == pytest.approx(0.2)
    assert slope.grad is not None


LOOPED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        layers = [nn.Linear(4, 8), nn.Sigmoid()]
        for _ in range(depth):
            layers += [nn.Linear(8, 8), nn.Sigmoid()]
        self.net = nn.Sequential(*layers, nn.Linear(8, 1))
        self.gate = nn.Linear(4, 1)

    def forward(self, x):
        return self.net(x) * torch.sigmoid(self.gate(x))

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    optimizer.zero_grad()
    net(torch.randn(4, 4)).square().mean().backward()
    optimizer.step()
"""


def test_the_line_of_a_loop_serves_all_its_sites_and_gates_are_left(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, LOOPED)
    hidden = tuple(site.name for site in facts.activations if site.name.startswith("net."))
    assert len(hidden) == 4
    script = assert_written(
        LOOPED,
        change(Act.ACTIVATE, modules=hidden, to="relu"),
        """
        -        layers = [nn.Linear(4, 8), nn.Sigmoid()]
        +        layers = [nn.Linear(4, 8), nn.ReLU()]
        -            layers += [nn.Linear(8, 8), nn.Sigmoid()]
        +            layers += [nn.Linear(8, 8), nn.ReLU()]
        """,
        facts,
        path,
    )
    ran(script)


def test_some_of_a_loops_sites_cannot_change_alone(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, LOOPED)
    with pytest.raises(PatchError, match=r"makes 3 activations, of which net.5, net.7 must stay: make them apart"):
        written(LOOPED, change(Act.ACTIVATE, modules=("net.3",), to="relu"), facts, path)


def test_of_two_calls_on_a_line_the_one_that_is_named_is_changed(tmp_path: Path) -> None:
    script = """
        import torch
        from torch import nn
        import torch.nn.functional as F

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.l1, self.l2 = nn.Linear(3, 3), nn.Linear(3, 1)

            def forward(self, x):
                return F.relu(self.l2(F.relu(self.l1(x))))

        net = Net()
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.ones(2, 3)).sum().backward()
        opt.step()
        """
    facts, path = watched(tmp_path, script)
    assert_written(
        script,
        change(Act.ACTIVATE, modules=("l2:relu",), to="identity"),
        """
        -        return F.relu(self.l2(F.relu(self.l1(x))))
        +        return self.l2(F.relu(self.l1(x)))
        """,
        facts,
        path,
    )


def test_beside_a_comprehension_a_single_layer_is_told_apart(tmp_path: Path) -> None:
    script = """
        import torch
        from torch import nn
        net = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(4, 4), nn.Tanh())], nn.Linear(4, 1), nn.Tanh())
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.ones(2, 4)).sum().backward()
        opt.step()
        """
    facts, path = watched(tmp_path, script)
    assert "(nn.Linear(4, 4), nn.Tanh())], nn.Linear(4, 1))" in written(
        script, change(Act.ACTIVATE, modules=("7",), to="identity"), facts, path
    )
    assert "(nn.Linear(4, 4), nn.ReLU())], nn.Linear(4, 1), nn.Tanh())" in written(
        script, change(Act.ACTIVATE, modules=("1", "3", "5"), to="relu"), facts, path
    )


@pytest.mark.parametrize(
    ("line", "to", "instruction"),
    [
        ("y = nn.RNN(5, 3)", "gelu", "knows the activations tanh and relu only; gelu needs a layer of your own"),
        ("y = 3 * x", "relu", "at train.py:6: use relu there"),
        ("y = torch.sigmoid(x)", "swishish", "'swishish' is no activation known here"),
        ("y = torch.sigmoid(x)", "prelu", "at train.py:6: make an nn.PReLU"),
    ],
)
def test_what_cannot_be_rewritten_is_told(line: str, to: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(f"{HEAD}{line}\n", change(Act.ACTIVATE, lines=(6,), to=to))


def test_a_change_without_place_is_refused() -> None:
    with pytest.raises(PatchError, match=r"source lines of fc:relu are not known; use gelu there"):
        written(HEAD, change(Act.ACTIVATE, modules=("fc:relu",), to="gelu"))
