"""Norms and shortcuts: what is written, and that the result trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from evengrad.core.info import ModuleInfo
from evengrad.core.plan import Act
from evengrad.errors import PatchError
from evengrad.patches import Facts
from tests.patches.written import assert_written, change, ran, watched, written

TAIL = """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    optimizer.zero_grad()
    model(torch.randn(4, 8)).square().mean().backward()
    optimizer.step()
"""
ATTRIBUTES = f"""
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.inp = nn.Linear(8, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for i in range(3)])
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        x = F.relu(self.inp(x))
        for layer in self.hidden:
            x = F.relu(layer(x))  # deep
        return self.out(x)
{TAIL}"""
LIST = f"""
import torch, torch.nn as nn

class Net(nn.Module):
    def __init__(self, width=16, depth=3):
        super().__init__()
        layers = [nn.Linear(8, width), nn.Tanh()]
        for _ in range(depth):
            layers.append(nn.Linear(width, width))
            layers.append(nn.Tanh())
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x)
{TAIL}"""
PAIRS = f"""
import torch
from torch import nn

def Net():
    pairs = [m for _ in range(3) for m in (nn.Linear(8, 8), nn.Sigmoid())]
    return nn.Sequential(*pairs, nn.Linear(8, 1))
{TAIL}"""


def model_of(script: str) -> nn.Module:
    """Run a script and return its model."""
    model = ran(script)["model"]
    assert isinstance(model, nn.Module)
    return model


def test_layers_kept_as_attributes_and_in_lists_are_normalised_in_place(tmp_path: Path) -> None:
    script = assert_written(
        ATTRIBUTES,
        change(Act.NORMALISE, kind="layer"),
        """
        -        self.inp = nn.Linear(8, width)
        -        self.hidden = nn.ModuleList([nn.Linear(width, width) for i in range(3)])
        +        self.inp = nn.Sequential(nn.Linear(8, width), nn.LayerNorm(width))
        +        self.hidden = nn.ModuleList([nn.Sequential(nn.Linear(width, width), NORM) for i in range(3)])
        """.replace("NORM", "nn.LayerNorm(width)"),
        *watched(tmp_path, ATTRIBUTES),
    )
    assert sum(isinstance(module, nn.LayerNorm) for module in model_of(script).modules()) == 4


def test_in_a_sequential_the_norm_is_the_next_element(tmp_path: Path) -> None:
    script = assert_written(
        LIST,
        change(Act.NORMALISE, kind="batch"),
        """
        -        layers = [nn.Linear(8, width), nn.Tanh()]
        +        layers = [nn.Linear(8, width), nn.BatchNorm1d(width), nn.Tanh()]
        +            layers.append(nn.BatchNorm1d(width))
        """,
        *watched(tmp_path, LIST),
    )
    assert [type(m).__name__ for m in model_of(script).get_submodule("net").children()][:3] == [
        "Linear",
        "BatchNorm1d",
        "Tanh",
    ]


def test_pairs_in_a_comprehension_are_normalised(tmp_path: Path) -> None:
    assert_written(
        PAIRS,
        change(Act.NORMALISE, modules=("0", "2", "4"), kind="layer"),
        """
        -    pairs = [m for _ in range(3) for m in (nn.Linear(8, 8), nn.Sigmoid())]
        +    pairs = [m for _ in range(3) for m in (nn.Linear(8, 8), nn.LayerNorm(8), nn.Sigmoid())]
        """,
        *watched(tmp_path, PAIRS),
    )


def test_a_convolution_gets_a_norm_of_its_dimension(tmp_path: Path) -> None:
    script = """
        import torch
        from torch.nn import Conv2d, Linear, ReLU, Sequential, Flatten
        net = Sequential(
            Conv2d(1, 4, 3),  # edges
            ReLU(),
            Flatten(),
            Linear(16, 2),
        )
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.randn(3, 1, 4, 4)).sum().backward()
        opt.step()
        """
    facts, path = watched(tmp_path, script)
    ran(
        assert_written(
            script,
            change(Act.NORMALISE, modules=("0",), kind="batch"),
            "-    Conv2d(1, 4, 3),  # edges\n+    Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4),  # edges",
            facts,
            path,
        )
    )
    assert "torch.nn.GroupNorm(1, 4)" in written(
        script, change(Act.NORMALISE, modules=("0",), kind="layer"), facts, path
    )


def test_a_shortcut_joins_the_loops_own_statement(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, ATTRIBUTES)
    script = assert_written(
        ATTRIBUTES,
        change(Act.SKIP, scale=0.5),
        "-            x = F.relu(layer(x))  # deep\n+            x = x + 0.5 * F.relu(layer(x))  # deep",
        facts,
        path,
    )
    ran(script)


def test_in_a_sequential_a_layer_and_its_activation_become_a_residual_block(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, PAIRS)
    script = assert_written(
        PAIRS,
        change(Act.SKIP),
        """
        +class Residual(nn.Sequential):
        +    def forward(self, x):
        +        return x + super().forward(x)
        +
        +
        -    pairs = [m for _ in range(3) for m in (nn.Linear(8, 8), nn.Sigmoid())]
        +    pairs = [m for _ in range(3) for m in (Residual(nn.Linear(8, 8), nn.Sigmoid()),)]
        """,
        facts,
        path,
    )
    model = model_of(script)
    x = torch.randn(2, 8)
    torch.testing.assert_close(model.get_submodule("0")(x), x + torch.sigmoid(model.get_submodule("0.0")(x)))


def test_blocks_get_a_shortcut_where_they_are_called(tmp_path: Path) -> None:
    script = f"""
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(x).relu()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
{TAIL}"""
    facts, path = watched(tmp_path, script)
    names = ("blocks.0", "blocks.1", "blocks.2")
    assert_written(
        script, change(Act.SKIP, modules=names), "-            x = block(x)\n+            x = x + block(x)", facts, path
    )
    with pytest.raises(
        PatchError, match=r"around `blocks.0` at train.py:\d+, but not around blocks.2, called there too"
    ):
        written(script, change(Act.SKIP, modules=names[:2]), facts, path)


def test_layers_of_one_call_cannot_change_apart(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, ATTRIBUTES)
    with pytest.raises(
        PatchError, match=r"put a LayerNorm behind hidden.0 at train.py:\d+, but not hidden.1, hidden.2"
    ):
        written(ATTRIBUTES, change(Act.NORMALISE, modules=("hidden.0",), kind="layer"), facts, path)


def test_a_layer_whose_attributes_are_used_is_told(tmp_path: Path) -> None:
    script = ATTRIBUTES.replace("    def forward", "        nn.init.zeros_(self.inp.bias)\n\n    def forward")
    facts, path = watched(tmp_path, script)
    with pytest.raises(PatchError, match=r"behind `inp` .* as an attribute of its own: line \d+ uses self.inp.bias"):
        written(script, change(Act.NORMALISE, modules=("inp",), kind="layer"), facts, path)


def test_without_a_run_nothing_is_known_of_layers() -> None:
    with pytest.raises(PatchError, match="no run has told their names"):
        written(ATTRIBUTES, change(Act.NORMALISE, kind="layer"))
    with pytest.raises(PatchError, match="no layer has as many inputs as outputs"):
        written(ATTRIBUTES, change(Act.SKIP))


def test_a_layer_that_a_loop_initialises_is_told(tmp_path: Path) -> None:
    loop = "        for layer in (self.inp, self.out):\n            nn.init.zeros_(layer.bias)\n\n    def forward"
    script = ATTRIBUTES.replace("    def forward", loop)
    facts, path = watched(tmp_path, script)
    with pytest.raises(PatchError, match=r"line \d+ uses layer.bias"):
        written(script, change(Act.NORMALISE, modules=("inp",), kind="layer"), facts, path)


def test_sequences_get_no_batch_norm(tmp_path: Path) -> None:
    facts, path = watched(tmp_path, ATTRIBUTES)
    embedded = Facts(modules=(*facts.modules, ModuleInfo("emb", "Embedding")), layers=facts.layers)
    with pytest.raises(PatchError, match="a net with Embedding, whose outputs are sequences; use a LayerNorm"):
        written(ATTRIBUTES, change(Act.NORMALISE, modules=("inp",), kind="batch"), embedded, path)
