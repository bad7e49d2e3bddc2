"""A plan carried out live gives the losses of the same plan written into source, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from evengrad import apply
from evengrad.core.plan import Act, Change, Plan, Setting
from evengrad.patches import SourceTree, patch
from tests.patches.written import change, watched

SCRIPT = dedent(
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(0)


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(12, 8)
            self.fc2 = nn.Linear(8, 8)
            self.act = nn.Tanh()
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = torch.sigmoid(self.fc1(x))
            x = self.act(self.fc2(x))
            return self.head(x)


    x, y = torch.randn(32, 12), torch.randint(3, (32,))
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    # here
    losses = []
    for step in range(8):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    """
).lstrip("\n")


def one(act: Act, *modules: str, **settings: Setting) -> Change:
    return change(act, modules=modules, **settings)


CHANGES = {
    "he": one(Act.INITIALISE, method="he"),
    "xavier of one layer": one(Act.INITIALISE, "fc2", method="xavier", gain=1.5),
    "orthogonal": one(Act.INITIALISE, method="orthogonal"),
    "critical": one(Act.INITIALISE, method="critical", gain=1.4, bias=0.2),
    "zero bias": one(Act.INITIALISE, "fc1", method="bias", bias=0.0),
    "functional relu": one(Act.ACTIVATE, "fc1:sigmoid", to="relu"),
    "functional prelu": one(Act.ACTIVATE, "fc1:sigmoid", to="prelu", slope=0.1),
    "module gelu": one(Act.ACTIVATE, "act", to="gelu"),
    "both leaky": one(Act.ACTIVATE, "fc1:sigmoid", "act", to="leaky-relu", slope=0.2),
    "clip by norm": one(Act.CLIP, kind="norm", threshold=0.05),
    "clip by value": one(Act.CLIP, kind="value", threshold=0.01),
    "clip adaptively": one(Act.CLIP, kind="adaptive", threshold=0.01),
    "lr": one(Act.OPTIMIZE, lr=0.03),
    "weight decay": one(Act.OPTIMIZE, weight_decay=0.1, momentum=0.5),
    "warm-up": one(Act.WARM_UP, steps=5),
    "layer norm": one(Act.NORMALISE, "fc1", kind="layer"),
    "batch norm": one(Act.NORMALISE, kind="batch"),
    "shortcut": one(Act.SKIP, "fc2", scale=0.5),
    "input": one(Act.SCALE, what="input", mean=0.5, std=2.0),
}


def losses_of(script: str, file: str, treat: object = None) -> list[float]:
    """Run a script; a treatment is called at its mark."""
    scope: dict[str, object] = {"__name__": "__main__", "treat": treat}
    text = script.replace("# here", "treat(model, optimizer, x)") if treat is not None else script
    exec(compile(text, file, "exec", dont_inherit=True), scope)
    losses = scope["losses"]
    assert isinstance(losses, list)
    return losses


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, str, list[float]]:
    folder: Path = tmp_path_factory.mktemp("twin")
    facts, file = watched(folder, SCRIPT)
    # Models of other tests may still be in memory.
    own = {"", "fc1", "fc2", "act", "head"}
    facts = replace(facts, modules=tuple(info for info in facts.modules if info.name in own))
    return facts, file, losses_of(SCRIPT, file)


@pytest.mark.parametrize("name", CHANGES)
def test_live_run_and_patched_source_have_the_same_losses(name: str, run: tuple[object, str, list[float]]) -> None:
    facts, file, plain = run
    wanted = CHANGES[name]
    source = patch(SourceTree({file: SCRIPT}, str(Path(file).parent)), wanted, facts)[file]  # type: ignore[arg-type]

    def treat(model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
        apply(Plan((wanted,)), model, optimizer, batch=x)

    written, live = losses_of(source, file), losses_of(SCRIPT, file, treat)
    assert live == written
    assert live != plain


def test_l2_live_and_in_source_differ_by_rounding_alone(run: tuple[object, str, list[float]]) -> None:
    """In source the penalty's gradient is one of the terms that autograd sums; live it is added afterwards."""
    facts, file, plain = run
    wanted = one(Act.PENALISE, coefficient=0.1)
    source = patch(SourceTree({file: SCRIPT}, str(Path(file).parent)), wanted, facts)[file]  # type: ignore[arg-type]
    live = losses_of(SCRIPT, file, lambda model, optimizer, x: apply(Plan((wanted,)), model, optimizer))
    assert live == pytest.approx(losses_of(source, file), rel=1e-5)
    assert live != pytest.approx(plain, rel=1e-5)
