"""Scaling of data, guards of operations and number formats."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import assert_written, change, ran, watched, written

TRAIN = """
import torch
import torch.nn.functional as F
from torch import nn

def data():
    return 100 * torch.rand(64, 3) + 50, 1000 * torch.rand(64, 1)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x):
        \"\"\"Return prices.\"\"\"
        return self.fc(x)

X, y = data()
model = {model}
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
for i in range(3):
    optimizer.zero_grad()
    loss = F.mse_loss(model(X[i:]), y[i:])
    loss.backward()
    optimizer.step()
print(model(X).mean())
"""


def test_inputs_are_scaled_in_the_models_own_forward(tmp_path: Path) -> None:
    script = TRAIN.format(model="Net()")
    facts, path = watched(tmp_path, script)
    assert_written(
        script,
        change(Act.SCALE, what="input", mean=100.0, std=30.0),
        "+        x = (x - 100.0) / 30.0",
        facts,
        path,
    )


def test_inputs_of_a_sequential_are_scaled_at_every_call(tmp_path: Path) -> None:
    script = TRAIN.format(model="nn.Sequential(nn.Linear(3, 1))")
    facts, path = watched(tmp_path, script)
    ran(
        assert_written(
            script,
            change(Act.SCALE, what="input", mean=0.0, std=30.0),
            """
            -    loss = F.mse_loss(model(X[i:]), y[i:])
            +    loss = F.mse_loss(model(X[i:] / 30.0), y[i:])
            -print(model(X).mean())
            +print(model(X / 30.0).mean())
            """,
            facts,
            path,
        )
    )


def test_targets_are_scaled_where_the_loss_takes_them() -> None:
    patched = ran(
        assert_written(
            TRAIN.format(model="Net()"),
            change(Act.SCALE, what="target", mean=500.0, std=290.0),
            """
            -    loss = F.mse_loss(model(X[i:]), y[i:])
            +    # predictions are in units of 290.0 from 500.0: multiply by 290.0 and add 500.0 to read them
            +    loss = F.mse_loss(model(X[i:]), (y[i:] - 500.0) / 290.0)
            """,
        )
    )
    assert isinstance(patched["loss"], torch.Tensor)


@pytest.mark.parametrize(("what", "name"), [("input", "X"), ("target", "y")])
def test_columns_are_standardised_right_behind_the_data(what: str, name: str) -> None:
    script = assert_written(
        TRAIN.format(model="Net()"),
        change(Act.SCALE, what=what, per="column"),
        f"+{name} = ({name} - {name}.mean(0)) / {name}.std(0).clamp_min(1e-06)",
    )
    value = ran(script)[name]
    assert isinstance(value, torch.Tensor)
    torch.testing.assert_close(value.std(0), torch.ones(value.shape[1]))


def test_the_tensor_behind_a_loader_is_found() -> None:
    script = """
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        images = torch.rand(8, 3) * 255
        labels = torch.zeros(8)
        loader = DataLoader(TensorDataset(images, labels), batch_size=4)
        net = torch.nn.Linear(3, 1)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        for i, (x, y) in enumerate(loader):
            net(x.to("cpu")).sum().backward()
            opt.step()
        """
    line = "+images = (images - images.mean(0)) / images.std(0).clamp_min(1e-06)"
    ran(assert_written(script, change(Act.SCALE, what="input", per="column"), line))


DATASET = """
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

class Houses(Dataset):
    def __init__(self, n=8):
        self.X = (np.random.rand(n, 3) * 255).astype(np.float32)
        self.y = np.zeros(n, np.float32)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]), torch.tensor(self.y[i])

data = Houses()
net = torch.nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in DataLoader(data, batch_size=4):
    net(x).sum().backward()
    opt.step()
"""


def test_the_array_of_a_dataset_class_is_standardised_by_columns() -> None:
    line = "+        self.X = (self.X - self.X.mean(0)) / self.X.std(0).clip(1e-06)"
    script = assert_written(DATASET, change(Act.SCALE, what="input", per="column"), line)
    data = ran(script)["data"]
    torch.testing.assert_close(torch.from_numpy(data.X.std(0)), torch.ones(3))  # type: ignore[attr-defined]


def test_datasets_made_twice_are_not_scaled_each_by_itself() -> None:
    script = DATASET.replace("data = Houses()", "data, test = Houses(), Houses()")
    with pytest.raises(PatchError, match="its mean over the training set"):
        written(script, change(Act.SCALE, what="input", per="column"))


@pytest.mark.parametrize(
    ("settings", "instruction"),
    [
        ({"what": "target", "mean": 1.0, "std": 2.0}, "the loss is not one call with a prediction and a target"),
        ({"what": "input", "per": "column"}, "subtract from each column of the input its mean"),
        ({"what": "colour"}, "'colour' is neither input nor target"),
    ],
)
def test_data_that_cannot_be_found_are_told(settings: dict[str, str | float], instruction: str) -> None:
    script = "import torch\no = torch.optim.SGD(m.parameters())\nfor x in d:\n    m(x).sum().backward()\n    o.step()\n"
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.SCALE, **settings))


def test_classes_are_not_scaled() -> None:
    script = TRAIN.format(model="Net()").replace("F.mse_loss", "criterion")
    script = script.replace("X, y = data()", "criterion = nn.CrossEntropyLoss()\nX, y = data()")
    with pytest.raises(PatchError, match="the targets are classes, which have no unit"):
        written(script, change(Act.SCALE, what="target", mean=0.0, std=2.0))


HEAD = "import torch\nimport torch.nn.functional as F\nx = torch.zeros(2, 3, requires_grad=True)\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = torch.log(x)", "y = torch.log(x.clamp_min(1e-08))"),
        ("y = x.sum(1).log()", "y = x.sum(1).clamp_min(1e-08).log()"),
        ("y = torch.log(x + x)", "y = torch.log((x + x).clamp_min(1e-08))"),
        ("y = (x * x).sqrt()", "y = (x * x).clamp_min(1e-08).sqrt()"),
        ("y = torch.rsqrt(x)", "y = torch.rsqrt(x.clamp_min(1e-08))"),
        ("y = x**0.5", "y = x.clamp_min(1e-08)**0.5"),
        ("y = x / x.sum()", "y = x / (x.sum() + 1e-08)"),
        ("y = 1 / (x - x)", "y = 1 / (x - x + 1e-08)"),
        ("y = torch.div(x, x)", "y = torch.div(x, (x + 1e-08))"),
        ("y = torch.acos(x + 1)", "y = torch.acos((x + 1).clamp(-0.99999999, 0.99999999))"),
        ("y = torch.exp(200 + x)", "y = torch.exp((200 + x).clamp(-80.0, 80.0))"),
        ("y = x.std(dim=1)", "y = (x.var(dim=1) + 1e-08).sqrt()"),
        ("y = torch.std(x)", "y = (torch.var(x) + 1e-08).sqrt()"),
        ("y = x.norm(dim=1)", "y = (x.square().sum(dim=1) + 1e-08).sqrt()"),
        ("y = torch.log(torch.softmax(1e4 * x, dim=1))", "y = torch.log_softmax(1e4 * x, dim=1)"),
        ("y = F.softmax(x, 1).log()", "y = F.log_softmax(x, 1)"),
        ("y = x.softmax(-1).log()", "y = x.log_softmax(-1)"),
        ("y = torch.log(torch.sigmoid(x - 200))", "y = F.logsigmoid(x - 200)"),
        ("y = (x - 200).sigmoid().log()", "y = F.logsigmoid(x - 200)"),
    ],
)
def test_a_guarded_operation_is_finite_forward_and_backward(before: str, after: str) -> None:
    script = assert_written(
        f"{HEAD}{before}  # loss\n",
        change(Act.GUARD, lines=(4,), operation="auto", eps=1e-8),
        f"-{before}  # loss\n+{after}  # loss",
    )
    values = ran(f"{script}y.sum().backward()\n")
    x, y = values["x"], values["y"]
    assert isinstance(x, torch.Tensor)
    assert isinstance(y, torch.Tensor)
    assert torch.isfinite(y).all()
    if "exp" not in before:  # summed, e^80 stays finite; its gradient is masked or e^80 as well
        assert x.grad is not None
        assert "acos" in before or torch.isfinite(x.grad).all()


def test_only_the_operation_that_is_named_is_guarded() -> None:
    assert_written(
        f"{HEAD}y = torch.log(x) / x.sqrt()\n",
        change(Act.GUARD, lines=(4,), operation="log", eps=1e-4),
        "-y = torch.log(x) / x.sqrt()\n+y = torch.log(x.clamp_min(0.0001)) / x.sqrt()",
    )


def test_what_is_not_on_the_line_is_told() -> None:
    with pytest.raises(PatchError, match=r"at train.py:4: keep the argument of sqrt at least 1e-08 inside its domain"):
        written(f"{HEAD}y = torch.log(x)\n", change(Act.GUARD, lines=(4,), operation="sqrt"))
    with pytest.raises(PatchError, match="at the operation: keep"):
        written(f"{HEAD}y = torch.log(x)\n", change(Act.GUARD, operation="log"))


HALF = """
import torch
from torch import nn
model = nn.Linear(4, 2).half()
model = model.to(torch.bfloat16)
x = torch.ones(3, 4, dtype=torch.float16).to("cpu", torch.half)
scaler = torch.amp.GradScaler("cpu")
with torch.autocast("cpu", dtype=torch.bfloat16):
    y = model(x)
"""


def test_everything_becomes_float32() -> None:
    values = ran(
        assert_written(
            HALF,
            change(Act.PRECISION, dtype="float32"),
            """
            -model = nn.Linear(4, 2).half()
            -model = model.to(torch.bfloat16)
            -x = torch.ones(3, 4, dtype=torch.float16).to("cpu", torch.half)
            -scaler = torch.amp.GradScaler("cpu")
            -with torch.autocast("cpu", dtype=torch.bfloat16):
            +model = nn.Linear(4, 2)
            +model = model.float()
            +x = torch.ones(3, 4, dtype=torch.float32).to("cpu", torch.float32)
            +scaler = torch.amp.GradScaler("cpu", enabled=False)
            +with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
            """,
        )
    )
    assert isinstance(values["y"], torch.Tensor)
    assert values["y"].dtype is torch.float32


def test_float16_becomes_bfloat16_without_a_scaler() -> None:
    script = written(HALF, change(Act.PRECISION, dtype="bfloat16"))
    assert "nn.Linear(4, 2).bfloat16()" in script
    assert 'dtype=torch.bfloat16).to("cpu", torch.bfloat16)' in script
    assert 'GradScaler("cpu", enabled=False)' in script
    ran(script)


def test_autocast_alone_can_be_switched_off() -> None:
    assert_written(
        HALF,
        change(Act.PRECISION, dtype="float32", what="autocast", lines=(7,)),
        """
        -with torch.autocast("cpu", dtype=torch.bfloat16):
        +with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        """,
    )


def test_without_short_formats_there_is_nothing_to_change() -> None:
    with pytest.raises(PatchError, match="no conversion to a short number format is in the source given"):
        written("x = 1\n", change(Act.PRECISION, dtype="float32"))
    with pytest.raises(PatchError, match="'int8' is none of float32"):
        written(HALF, change(Act.PRECISION, dtype="int8"))
