"""Initialisations are plain torch before the optimizer, in loops over the layers that are meant, or in place."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from evengrad.patches import Facts
from tests.patches.written import assert_written, change, ran, watched, written

NET = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width, bias=False)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, 64, 3)
        self.blocks = nn.ModuleList(Block(64) for _ in range(3))
        self.out = nn.Linear(64, 2)

    def forward(self, x):
        x = self.stem(x).mean(2)
        for block in self.blocks:
            x = block(x)
        return self.out(x)

def main():
    model = Net().to("cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 1, 8)).square().mean().backward()
        optimizer.step()
    return model

model = main()
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facts, str]:
    """Return what a run of the script tells, and its path."""
    return watched(tmp_path_factory.mktemp("net"), NET)


def model_of(script: str) -> nn.Module:
    """Run a script and return its model."""
    model = ran(script)["model"]
    assert isinstance(model, nn.Module)
    return model


def test_every_layer_is_drawn_before_the_optimizer_is_made(facts: tuple[Facts, str]) -> None:
    script = assert_written(
        NET,
        change(Act.INITIALISE, method="he"),
        """
        +    for module in model.modules():
        +        if isinstance(module, (nn.Linear, nn.Conv1d)):
        +            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        +            if module.bias is not None:
        +                nn.init.zeros_(module.bias)
        """,
        *facts,
    )
    model = model_of(script)
    weight = model.get_parameter("blocks.1.fc1.weight")
    # 4096 draws: 3 standard errors of the standard deviation are 3 / sqrt(2 * 4096) of it.
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.034)
    assert not model.get_parameter("stem.bias").any()


def test_named_layers_of_blocks_are_drawn_in_a_loop(facts: tuple[Facts, str]) -> None:
    names = ("blocks.0.fc2", "blocks.1.fc2", "blocks.2.fc2")
    script = assert_written(
        NET,
        change(Act.INITIALISE, modules=names, method="residual", gain=0.0),
        """
        +    for part in model.blocks:
        +        nn.init.zeros_(part.fc2.weight)
        +        if part.fc2.bias is not None:
        +            nn.init.zeros_(part.fc2.bias)
        """,
        *facts,
    )
    assert not model_of(script).get_parameter("blocks.2.fc2.weight").any()


def test_a_named_layer_is_drawn_alone(facts: tuple[Facts, str]) -> None:
    assert_written(
        NET,
        change(Act.INITIALISE, modules=("blocks.1.fc1", "out"), method="xavier", gain=1.5),
        """
        +    nn.init.xavier_uniform_(model.blocks[1].fc1.weight, gain=1.5)
        +    nn.init.zeros_(model.blocks[1].fc1.bias)
        +    nn.init.xavier_uniform_(model.out.weight, gain=1.5)
        +    nn.init.zeros_(model.out.bias)
        """,
        *facts,
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"method": "xavier"}, math.sqrt(2 / 128)),
        ({"method": "lecun"}, math.sqrt(1 / 64)),
        ({"method": "he", "slope": 0.5}, math.sqrt(2 / 1.25 / 64)),
        ({"method": "critical", "gain": 1.2, "bias": 0.1}, 1.2 / 8),
        ({"method": "orthogonal", "gain": 1.3}, 1.3 / 8),
        ({"method": "delta-orthogonal"}, 1 / 8),
    ],
)
def test_each_method_draws_the_standard_deviation_it_says(
    facts: tuple[Facts, str], settings: dict[str, str | float], expected: float
) -> None:
    script = written(NET, change(Act.INITIALISE, **settings), *facts)
    weight = model_of(script).get_parameter("blocks.0.fc1.weight")
    assert weight.std(correction=0).item() == pytest.approx(expected, rel=0.034)


def test_delta_orthogonal_kernels_have_one_tap(facts: tuple[Facts, str]) -> None:
    stem = model_of(written(NET, change(Act.INITIALISE, method="delta-orthogonal"), *facts)).get_parameter(
        "stem.weight"
    )
    assert not stem[..., 0].any()
    assert not stem[..., 2].any()
    torch.testing.assert_close(stem[:, 0, 1].norm(), torch.tensor(1.0))


def test_lsuv_brings_every_output_to_unit_variance() -> None:
    script = """
        import torch
        from torch import nn
        X = 30 * torch.randn(512, 8) + 5
        net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 4))
        opt = torch.optim.Adam(net.parameters())
        for i in range(2):
            net(X[i * 64 : i * 64 + 64]).sum().backward()
        """
    patched = ran(written(script, change(Act.INITIALISE, method="lsuv", tolerance=0.05)))
    net, data = patched["net"], patched["X"]
    assert isinstance(net, nn.Sequential)
    assert isinstance(data, torch.Tensor)
    x = data[:256]
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            assert x.std().item() == pytest.approx(1.0, abs=0.05)


def test_data_dependent_scales_bring_every_unit_to_mean_0_and_variance_1() -> None:
    script = """
        import torch
        from torch import nn
        images = 30 * torch.randn(64, 1, 6, 6) + 5
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, images), batch_size=16)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3, bias=True))
        opt = torch.optim.Adam(net.parameters())
        for image, _ in loader:
            net(image).sum().backward()
        """
    patched = ran(written(script, change(Act.INITIALISE, method="data-dependent")))
    net, data = patched["net"], patched["images"]
    assert isinstance(net, nn.Sequential)
    assert isinstance(data, torch.Tensor)
    maps, scores = net[0](data), net(data)
    torch.testing.assert_close(maps.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(scores.std(0), torch.ones(3), atol=1e-3, rtol=0)


RECURRENT = """
import torch
from torch import nn
model = nn.LSTM(4, 8, num_layers=2)
opt = torch.optim.Adam(model.parameters(), lr=0.0)
model(torch.ones(3, 2, 4))[0].sum().backward()
opt.step()
"""


def test_forget_gates_are_shifted_as_a_whole() -> None:
    model = model_of(written(RECURRENT, change(Act.INITIALISE, method="forget-bias", bias=2.0)))
    for layer in ("l0", "l1"):
        total = model.get_parameter(f"bias_ih_{layer}") + model.get_parameter(f"bias_hh_{layer}")
        torch.testing.assert_close(total[8:16], torch.full((8,), 2.0))


def test_update_gates_of_a_gru_are_shifted_as_forget_gates_are() -> None:
    model = model_of(written(RECURRENT.replace("LSTM", "GRU"), change(Act.INITIALISE, method="forget-bias", bias=2.0)))
    assert isinstance(model, nn.GRU)
    state, new = torch.ones(2, 1, 8), torch.zeros(1, 1, 4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "weight" in name:
                parameter.zero_()
        kept = model(new, state)[1]
    assert kept.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item(), abs=0.1)


def test_input_matrices_of_a_recurrence_take_their_own_gain() -> None:
    settings = {"method": "recurrent", "input_gain": 0.1}
    model = model_of(written(RECURRENT.replace("LSTM", "RNN"), change(Act.INITIALISE, **settings)))
    bound = 0.1 * (6 / (4 + 8)) ** 0.5
    largest = model.get_parameter("weight_ih_l0").abs().max().item()
    assert 0.8 * bound < largest <= bound


def test_recurrent_matrices_are_orthogonal_gate_by_gate() -> None:
    model = model_of(written(RECURRENT, change(Act.INITIALISE, method="recurrent")))
    for gate in model.get_parameter("weight_hh_l1").split(8):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    assert not model.get_parameter("bias_hh_l0").any()


@pytest.mark.parametrize(
    ("line", "settings", "expected"),
    [
        ("nn.init.normal_(m.weight, std=3.0)", {"method": "xavier"}, "nn.init.xavier_uniform_(m.weight)"),
        ("m.weight.data.normal_(0, 1)", {"method": "he"}, 'nn.init.kaiming_normal_(m.weight, nonlinearity="relu")'),
        (
            "torch.nn.init.uniform_(m.weight.data)",
            {"method": "lecun"},
            'nn.init.kaiming_normal_(m.weight, nonlinearity="linear")',
        ),
        ("nn.init.constant_(m.bias, -8.0)", {"method": "bias", "bias": 0.0}, "nn.init.zeros_(m.bias)"),
        (
            "[nn.init.constant_(p, 0.01) for p in m.parameters()]",
            {"method": "orthogonal"},
            "[nn.init.orthogonal_(p) if p.ndim > 1 else nn.init.zeros_(p) for p in m.parameters()]",
        ),
    ],
)
def test_the_scripts_own_initialisation_is_rewritten_in_place(
    line: str, settings: dict[str, str | float], expected: str
) -> None:
    script = f"import torch\nfrom torch import nn\nm = nn.Linear(3, 3)\n{line}\nopt = torch.optim.SGD(m.parameters())\n"
    ran(assert_written(script, change(Act.INITIALISE, lines=(4,), **settings), f"-{line}\n+{expected}"))
    ran(assert_written(script, change(Act.INITIALISE, replace=True, **settings), f"-{line}\n+{expected}"))


def test_each_player_of_a_gan_is_drawn_before_its_own_optimizer(tmp_path: Path) -> None:
    script = """
        import torch
        from torch import nn
        g, d = nn.Linear(2, 2), nn.Linear(2, 1)
        og = torch.optim.SGD(g.parameters(), lr=0.1)
        od = torch.optim.SGD(list(d.parameters()), lr=0.1)
        for _ in range(2):
            d(g(torch.ones(1, 2))).sum().backward()
            og.step(), od.step()
        """
    facts, path = watched(tmp_path, script)
    patched = written(script, change(Act.INITIALISE, method="he"), facts, path)
    assert (
        patched.index("for module in g.modules()") < patched.index("og = ") < patched.index("for module in d.modules()")
    )
    only = written(script, change(Act.INITIALISE, modules=("d",), method="he"), facts, path)
    assert "g.modules()" not in only
    assert "nn.init.kaiming_normal_(d.weight" in only


def test_in_a_helper_the_models_own_name_is_used() -> None:
    script = """
        import torch.nn as tnn
        from torch.optim import Adam
        def optimizer_for(net):
            return Adam(filter(lambda p: p.requires_grad, net.parameters()), lr=1e-3)
        """
    assert_written(
        script,
        change(Act.INITIALISE, method="orthogonal"),
        """
        +    for module in net.modules():
        +        if isinstance(module, (tnn.Linear, tnn.Conv1d, tnn.Conv2d, tnn.Conv3d)):
        +            tnn.init.orthogonal_(module.weight)
        +            if module.bias is not None:
        +                tnn.init.zeros_(module.bias)
        """,
    )


@pytest.mark.parametrize(
    ("script", "settings", "instruction"),
    [
        ("x = 1\n", {"method": "he"}, "right after the model is made; the source given makes no optimizer"),
        (
            "import torch\no = torch.optim.SGD(ps)\n",
            {"method": "he"},
            r"initialise the weights \(he\) right before train.py:2",
        ),
        (
            "import torch\nm = N()\nm.load_state_dict(s)\no = torch.optim.SGD(m.parameters())\n",
            {"method": "he"},
            "weights are loaded at train.py:3; initialise only the layers that are new",
        ),
        (
            "import torch\no = torch.optim.SGD(m.parameters())\n",
            {"method": "magic"},
            "'magic' is no initialisation known",
        ),
        (
            "import torch\no = torch.optim.SGD(m.parameters())\n",
            {"method": "lsuv"},
            "before train.py:2, pass one batch",
        ),
        ("import torch\no = torch.optim.SGD(m.parameters())\n", {"method": "residual"}, "residual needs the names"),
        (
            "import torch\no = torch.optim.SGD(m.parameters())\n",
            {"method": "he", "replace": True},
            "no initialisation that can become he",
        ),
    ],
)
def test_what_cannot_be_drawn_safely_is_told(script: str, settings: dict[str, str | bool], instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.INITIALISE, **settings))
