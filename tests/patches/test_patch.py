"""Whatever the act: the file's own style, only the lines needed, code that compiles, and lines that are followed."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from evengrad.core.discover import catalogue
from evengrad.core.info import SourceLine
from evengrad.core.plan import Act, Change, Plan, Risk, Setting
from evengrad.errors import PatchError
from evengrad.patches import Facts, SourceTree, patch, patch_plan
from evengrad.patches._base import AbstractPatch
from tests.patches.written import PATH, assert_written, change, differing, ran, tree_of, watched, written

SCRIPT = """
#!/usr/bin/env python
'''Train a net.'''
from __future__ import annotations

import argparse  # arguments
import torch
from torch import nn


class Net(nn.Module):

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.a = nn.Linear(4, width)  # in
        self.b = nn.Linear(width, width)
        self.c = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.sigmoid(self.a(x))
        # hidden
        x = torch.sigmoid(self.b(x))
        return self.c(x)


def main() -> nn.Module:
    parser = argparse.ArgumentParser()
    parser.add_argument('--lr', type=float, default=.1)
    args = parser.parse_args([])

    model = Net()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=args.lr,  # from outside
    )
    for epoch in range(2):
        loss = model(torch.ones(3, 4)).square().mean()

        optimizer.zero_grad()
        loss.backward()

        # the step
        optimizer.step()
    return model


if __name__ == '__main__': main()
"""
ACTS: list[tuple[Act, dict[str, Setting]]] = [
    (Act.CLIP, {"kind": "norm", "threshold": 1.0}),
    (Act.CLIP, {"kind": "adaptive", "threshold": 0.01}),
    (Act.OPTIMIZE, {"lr_factor": 0.5}),
    (Act.OPTIMIZE, {"optimizer": "Adam", "lr": 0.001}),
    (Act.WARM_UP, {"steps": 10.0}),
    (Act.PENALISE, {"coefficient": 0.01}),
    (Act.INITIALISE, {"method": "xavier"}),
    (Act.NORMALISE, {"kind": "layer"}),
    (Act.SKIP, {}),
    (Act.SCALE, {"what": "input", "mean": 1.0, "std": 2.0}),
]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facts, str]:
    """Return what a run of the script tells, and its path."""
    return watched(tmp_path_factory.mktemp("script"), SCRIPT)


def test_every_act_has_a_patch_that_documents_its_settings() -> None:
    items = catalogue("evengrad.patches")
    assert set(items) == {act.value for act in Act}
    for module in items.values():
        assert isinstance(module.PATCH, AbstractPatch)
        assert "Settings:" in (module.__doc__ or "")


@pytest.mark.parametrize(("act", "settings"), ACTS)
@pytest.mark.parametrize(
    "style",
    [
        pytest.param({"\n": "\r\n"}, id="crlf"),
        pytest.param({"    ": "\t"}, id="tabs"),
        pytest.param({"    ": "  "}, id="two spaces"),
        pytest.param({"#!/usr": "\ufeff#!/usr"}, id="byte-order mark"),
        pytest.param({"main()\n": "main()"}, id="no line end at the end"),
    ],
)
def test_style_is_kept_and_only_new_lines_differ(
    facts: tuple[Facts, str], act: Act, settings: dict[str, Setting], style: dict[str, str]
) -> None:
    known, path = facts
    plain = SCRIPT.lstrip("\n")
    expected = written(plain, change(act, **settings), known, path)
    if act is Act.CLIP and settings["kind"] == "adaptive" and "    " in style:
        expected = expected.replace('    """', f"{style['    ']}" + '"""')
    old = plain
    for this, that in style.items():
        old, expected = _replaced(old, this, that), _replaced(expected, this, that)
    assert patch(tree_of(old, path), change(act, **settings), known)[path] == expected


def _replaced(text: str, this: str, that: str) -> str:
    if this == "main()\n":
        return text.removesuffix("\n")
    return text.replace(this, that)


def test_a_plan_follows_lines_as_earlier_changes_move_them(facts: tuple[Facts, str]) -> None:
    known, path = facts
    optimizer = tuple(info.source for info in known.optimizers if info.source is not None)
    plan = Plan(
        (
            change(Act.SKIP, modules=("b",)),
            change(Act.INITIALISE, method="he"),
            Change("lower-lr", Act.OPTIMIZE, Risk.OPTIMIZER, (("lr_factor", 0.1),), lines=optimizer),
            change(Act.ACTIVATE, modules=("a:sigmoid", "b:sigmoid"), to="relu"),
            Change("warmup", Act.WARM_UP, Risk.OPTIMIZER, (("steps", 5.0),), lines=optimizer),
            Change("clip-norm", Act.CLIP, Risk.OPTIMIZER, (("kind", "norm"), ("threshold", 1.0)), lines=optimizer),
        )
    )
    old = tree_of(SCRIPT.lstrip("\n"), path)
    new = patch_plan(old, plan, known)
    assert differing(old, new) == dedent(
        """
        -        x = torch.sigmoid(self.a(x))
        +        x = torch.relu(self.a(x))
        -        x = torch.sigmoid(self.b(x))
        +        x = x + torch.relu(self.b(x))
        +    for module in model.modules():
        +        if isinstance(module, nn.Linear):
        +            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        +            nn.init.zeros_(module.bias)
        -        lr=args.lr,  # from outside
        +        lr=args.lr * 0.1,  # from outside
        +    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 5))
        +        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        +        warmup.step()
        """
    ).strip("\n")
    ran(new[path].replace("if __name__ == '__main__': main()", "main()"))


def test_the_empty_plan_changes_nothing(facts: tuple[Facts, str]) -> None:
    tree = tree_of(SCRIPT, facts[1])
    assert patch_plan(tree, Plan(), facts[0]) == tree


def test_a_change_reaches_the_module_that_defines_the_net(tmp_path: Path) -> None:
    head = "from torch import nn\nimport torch\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
    net = head + "        return torch.sigmoid(x)\n"
    script = "import torch\nfrom net import Net\n\nopt = torch.optim.SGD(Net().parameters(), lr=1)\n"
    tree = SourceTree({"/p/train.py": script, "/p/net.py": net}, "/p")
    wanted = Change("relu", Act.ACTIVATE, Risk.ACTIVATION, (("to", "relu"),), lines=(SourceLine("net.py", 7),))
    new = patch(tree, wanted, Facts())
    assert new["/p/train.py"] == script
    assert differing(tree, new) == "-        return torch.sigmoid(x)\n+        return torch.relu(x)"
    assert tree.diff(new).startswith("--- a/net.py\n+++ b/net.py\n@@")


@pytest.mark.parametrize(
    ("imports", "added", "name"),
    [
        ("import torch", "", "torch.nn.utils"),
        ("import torch.nn", "", "torch.nn.utils"),
        ("import torch.nn as tnn", "", "tnn.utils"),
        ("from torch import nn, optim", "", "nn.utils"),
        ("from torch.nn import utils", "", "utils"),
        ("import torch.nn.utils as u", "", "u"),
        ("import os", "+from torch import nn\n", "nn.utils"),
        ("'''Doc.'''", "+from torch import nn\n", "nn.utils"),
    ],
)
def test_imports_are_used_as_they_are_and_added_only_if_needed(imports: str, added: str, name: str) -> None:
    assert_written(
        f"{imports}\n\nopt = make(net)\nopt.zero_grad()\nf().backward()\nopt.step()\n",
        change(Act.CLIP, kind="value", threshold=1.0),
        added + f'+{name}.clip_grad_value_([p for group in opt.param_groups for p in group["params"]], 1.0)',
    )


def test_an_import_inside_a_function_does_not_reach_another() -> None:
    script = """
        def build():
            import torch.nn as inner
            return inner.Linear(2, 2)

        def train(opt, loss):
            opt.zero_grad()
            loss.backward()
            opt.step()
        """
    patched = written(script, change(Act.CLIP, kind="norm", threshold=1.0))
    assert patched.startswith("from torch import nn\n\n\ndef build():")
    assert "    nn.utils.clip_grad_norm_" in patched


def test_a_change_that_is_there_already_is_refused() -> None:
    script = "import torch\nopt = torch.optim.SGD(p, lr=0.5)\n"
    with pytest.raises(PatchError, match=r"`remedy\(lr=0.5\)` is in the source already"):
        written(script, change(Act.OPTIMIZE, lr=0.5))


def test_source_that_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(PatchError, match="cannot be parsed, so no change can be written into it"):
        patch(tree_of("def (:\n"), change(Act.CLIP, kind="norm", threshold=1.0), Facts())


def test_two_edits_in_one_place_are_refused_rather_than_mixed() -> None:
    from evengrad.patches._edit import Edit, rewritten
    from evengrad.patches._source import parse

    source = parse(PATH, "x = 12345\n")
    with pytest.raises(PatchError, match="two edits meet at line 1"):
        rewritten(source, [Edit(4, 7, "1"), Edit(5, 9, "2")], source.text)
    with pytest.raises(PatchError, match="does not fit the code around it"):
        rewritten(source, [Edit(2, 3, "")], source.text)
