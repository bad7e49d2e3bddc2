"""Cuts between the loss and the parameters are mended where there is one candidate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import assert_written, change, ran, watched, written

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        {cut}
        return self.head(h)

model = Net()
optimizer = torch.optim.SGD({params}, lr=0.1)
total = 0.0
for step in range(3):
    optimizer.zero_grad()
    loss = model(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
    total += loss.item()
    print(loss.detach())
"""


def net(cut: str = "h = self.encoder(x)", params: str = "model.parameters()") -> str:
    """Return a script with something between encoder and head."""
    return NET.format(cut=cut, params=params)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h = self.encoder(x).detach()", "h = self.encoder(x)"),
        ("h = self.encoder(x).data  # !", "h = self.encoder(x)  # !"),
        ("h = torch.tensor(self.encoder(x).tolist())", "h = self.encoder(x)"),
        ("h = torch.from_numpy(self.encoder(x).detach().cpu().numpy())", "h = self.encoder(x)"),
        ("z = self.encoder(x); h = 2 * z.detach() + 1", "z = self.encoder(x); h = 2 * z + 1"),
        ("h = 2 * (self.encoder(x) + 1).detach()", "h = 2 * (self.encoder(x) + 1)"),
    ],
)
def test_what_detaches_is_taken_away_and_logging_is_left(before: str, after: str) -> None:
    script = assert_written(
        net(before), change(Act.RECONNECT, modules=("encoder",), fault="auto"), f"-        {before}\n+        {after}"
    )
    model = ran(script)["model"]
    assert isinstance(model, nn.Module)
    gradient = model.get_parameter("encoder.weight").grad
    assert gradient is not None
    assert gradient.any()


def test_an_assignment_that_only_detaches_is_removed() -> None:
    script = net("h = self.encoder(x)\n        h = h.detach()")
    assert_written(script, change(Act.RECONNECT, modules=("encoder",)), "-        h = h.detach()")


def test_gradients_are_enabled_where_they_were_switched_off() -> None:
    assert_written(
        net("with torch.no_grad():\n            h = self.encoder(x)"),
        change(Act.RECONNECT, modules=("encoder",)),
        "-        with torch.no_grad():\n+        with torch.enable_grad():",
    )


def test_a_decorator_of_forward_is_removed() -> None:
    script = net().replace("    def forward", "    @torch.no_grad()\n    def forward")
    assert_written(script, change(Act.RECONNECT, modules=("encoder",)), "-    @torch.no_grad()")


def test_a_term_of_the_loss_becomes_a_tensor_again() -> None:
    script = """
        import torch
        import torch.nn.functional as F
        enc, clf = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        opt = torch.optim.SGD([*enc.parameters(), *clf.parameters()], lr=0.1)
        for x, y in data:
            z = enc(x)
            ce = F.cross_entropy(clf(z), y)
            loss = z.square().mean() + 0.5 * ce.item()
            loss.backward()
            opt.step()
            print(loss.item(), ce.item())
        """
    assert_written(
        script,
        change(Act.RECONNECT, modules=("clf",), fault="detached"),
        """
        -    loss = z.square().mean() + 0.5 * ce.item()
        +    loss = z.square().mean() + 0.5 * ce
        """,
    )


def test_frozen_parameters_learn_again() -> None:
    script = net().replace(
        "optimizer =", "for p in model.encoder.parameters():\n    p.requires_grad = False\noptimizer ="
    )
    assert_written(
        script,
        change(Act.RECONNECT, modules=("encoder",), fault="frozen"),
        "-    p.requires_grad = False\n+    p.requires_grad = True",
    )


@pytest.mark.parametrize(
    ("params", "after"),
    [
        ("model.head.parameters()", "model.parameters()"),
        ("list(model.head.parameters())", "[*list(model.head.parameters()), *model.encoder.parameters()]"),
        (
            '[{"params": model.head.parameters()}]',
            '[{"params": model.head.parameters()}, {"params": model.encoder.parameters()}]',
        ),
    ],
)
def test_an_optimizer_is_given_what_it_lacks(tmp_path: Path, params: str, after: str) -> None:
    script = net(params=params)
    facts, path = watched(tmp_path, script)
    wanted = change(Act.RECONNECT, parameters=("encoder.weight", "encoder.bias"), fault="missing")
    line = "optimizer = torch.optim.SGD({}, lr=0.1)"
    patched = assert_written(script, wanted, f"-{line.format(params)}\n+{line.format(after)}", facts, path)
    optimizer = ran(patched)["optimizer"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4


def test_an_optimizer_of_an_earlier_object_is_made_later() -> None:
    script = net().replace("total = 0.0", "model = Net()  # wider\ntotal = 0.0")
    patched = written(script, change(Act.RECONNECT, fault="foreign"))
    assert patched.index("# wider") < patched.index("optimizer = torch") < patched.index("total = 0.0")


def test_an_optimizer_of_another_object_is_given_the_one_that_is_called(tmp_path: Path) -> None:
    script = net(params="spare.parameters()").replace("model = Net()", "model = Net()\nspare = Net()")
    facts, path = watched(tmp_path, script)
    assert_written(
        script,
        change(Act.RECONNECT, fault="foreign"),
        """
        -optimizer = torch.optim.SGD(spare.parameters(), lr=0.1)
        +optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        """,
        facts,
        path,
    )


def test_a_plain_list_of_layers_is_registered() -> None:
    script = net("h = self.layers[0](x)").replace("self.encoder = nn.Linear(4, 4)", "self.layers = [nn.Linear(4, 4)]")
    patched = assert_written(
        script,
        change(Act.RECONNECT, fault="unregistered"),
        "-        self.layers = [nn.Linear(4, 4)]\n+        self.layers = nn.ModuleList([nn.Linear(4, 4)])",
    )
    model = ran(patched)["model"]
    assert isinstance(model, nn.Module)
    assert len(list(model.parameters())) == 4


@pytest.mark.parametrize(
    ("script", "fault", "instruction"),
    [
        (
            net("h = self.encoder(x.detach()).detach() + self.encoder(x).data"),
            "detached",
            "one of train.py:11, train.py:11 keeps the gradient from encoder; take it away",
        ),
        (net(), "detached", "look between encoder and the loss for what cuts the gradient"),
        (net(), "cosmic-rays", "'cosmic-rays' is no cut known here"),
    ],
)
def test_without_one_candidate_the_user_is_told(script: str, fault: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.RECONNECT, modules=("encoder",), fault=fault))
